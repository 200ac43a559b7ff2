//! An unreliable shop that takes orders over HTTP.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::OnceLock;
use std::thread;

use serde_json::Value;

/// The item that the shop never sells.
pub const FORBIDDEN_ITEM: &str = "moon";

static ADDRESS: OnceLock<String> = OnceLock::new();

/// Opens the shop on a free port of this machine. Its responses to orders for an item are 500, 500 and 200 in turn, and 400 for
/// [`FORBIDDEN_ITEM`]. It stays open as long as the process runs.
///
/// # Errors
/// If there is no free port.
pub fn open() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = format!("http://{}/orders", listener.local_addr()?);
    thread::spawn(move || {
        let mut orders = HashMap::new();
        for stream in listener.incoming() {
            if let Err(error) = stream.and_then(|stream| serve(&stream, &mut orders)) {
                println!("  shop: {error}");
            }
        }
    });
    ADDRESS.set(address).map_err(|_| std::io::Error::other("the shop is open already"))
}

/// Returns the address for orders.
///
/// # Panics
/// If the shop is not open yet.
pub fn url() -> &'static str {
    ADDRESS.get().expect("call `shop::open()` first")
}

/// Reads one request per connection: enough for a shop of this size.
fn serve(mut stream: &TcpStream, orders: &mut HashMap<String, u32>) -> Result<()> {
    let order: Value = serde_json::from_slice(&read_body(stream)?)?;
    let (item, user) = (text(&order, "item_id"), text(&order, "user_id"));
    let seen = orders.entry(item.to_owned()).or_default();
    *seen += 1;
    let status = match *seen {
        _ if item == FORBIDDEN_ITEM => "400 Bad Request",
        1 | 2 => "500 Internal Server Error",
        _ => "200 OK",
    };
    println!("  shop: {user} orders {item}: {status}");
    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

fn text<'a>(order: &'a Value, field: &str) -> &'a str {
    order[field].as_str().unwrap_or("?")
}

fn read_body(stream: &TcpStream) -> Result<Vec<u8>> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(std::io::Error::other)?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(body)
}

//! A shop in the test's own process, with a line of text for an order and one for the response.

use std::{io, net::Ipv4Addr};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufStream},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// The orders and the shop's responses.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) item: String,
    /// `None` if the shop did not respond.
    pub(super) status: Option<u16>,
}

/// Responds with 500, 500, and then 200. It closes when it is dropped.
pub(super) struct Shop {
    address: String,
    orders: watch::Receiver<Vec<Order>>,
    _service: JoinSet<()>,
}

impl Shop {
    /// Opens on a free port. Optionally the first customer gets no response.
    pub(super) async fn open(keeps_the_first_waiting: bool) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("there is a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let (book, orders) = watch::channel(Vec::new());
        let mut service = JoinSet::new();
        service.spawn(async move {
            let mut waiting = Vec::new();
            loop {
                let (stream, _) = listener.accept().await.expect("the port stays open");
                let mut stream = BufStream::new(stream);
                // A killed customer may leave in the middle of a word.
                let Ok(item) = read_line(&mut stream).await else { continue };
                let status = match book.borrow().len() {
                    0 if keeps_the_first_waiting => None,
                    0 | 1 => Some(500),
                    _ => Some(200),
                };
                book.send_modify(|orders| orders.push(Order { item, status }));
                match status {
                    None => waiting.push(stream),
                    // A customer that is killed here has ordered, but does not know the result.
                    Some(status) => drop(write_line(&mut stream, &status.to_string()).await),
                }
            }
        });
        Self { address, orders, _service: service }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Waits until there is an order.
    pub(super) async fn first_order(&mut self) {
        self.orders.wait_for(|orders| !orders.is_empty()).await.expect("the shop is open");
    }

    /// Returns the orders until now.
    pub(super) fn orders(&self) -> Vec<Order> {
        self.orders.borrow().clone()
    }
}

/// Orders an item, and returns the shop's response.
pub(super) async fn order(shop: &str, item: &str) -> io::Result<u16> {
    let mut stream = BufStream::new(TcpStream::connect(shop).await?);
    write_line(&mut stream, item).await?;
    read_line(&mut stream).await?.parse().map_err(io::Error::other)
}

async fn read_line(stream: &mut BufStream<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    line.strip_suffix('\n').map(str::to_owned).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

async fn write_line(stream: &mut BufStream<TcpStream>, line: &str) -> io::Result<()> {
    stream.write_all(format!("{line}\n").as_bytes()).await?;
    stream.flush().await
}

// Generic signatures.
use everloop::prelude::*;

#[activity]
async fn charge<T>(card: T) -> ActivityResult<()>
where
    T: Clone,
{
    drop(card);
    Ok(())
}

#[activity]
fn greet<'a>(name: String) -> String {
    name
}

#[activity]
fn print(text: impl ToString) -> impl ToString {
    text
}

#[workflow]
#[derive(Default)]
struct Stack<T> {
    items: State<Vec<T>>,
}

#[workflow]
#[derive(Default)]
struct Counter {}

#[workflow]
impl Counter {
    #[run]
    async fn run(&self) {}
    #[signal]
    fn add<const N: usize>(&self, numbers: [u8; N]) {
        let _ = numbers;
    }
}

fn main() {}

// Blocks of types with parameters.
use everloop::prelude::*;

struct Stack<T>(T);

#[workflow]
impl<T> Stack<T> {
    #[run]
    async fn run(&self) {}
}

#[activities]
impl Stack<u8> {
    #[activity]
    fn push(&self) {}
}

fn main() {}

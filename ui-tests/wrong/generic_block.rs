// Blocks of types with parameters.
use everloop::prelude::*;

#[workflow]
#[derive(Default)]
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

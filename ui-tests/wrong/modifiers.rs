// `const`, `unsafe` and `extern` functions.
use everloop::prelude::*;

#[activity]
const fn one() -> u32 {
    1
}

#[activity]
unsafe fn two() -> u32 {
    2
}

#[activity]
extern "C" fn three() -> u32 {
    3
}

fn main() {}

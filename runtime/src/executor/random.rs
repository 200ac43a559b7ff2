//! Random numbers that are the same on replay: ChaCha12, seeded with the SHA-256 of the run id.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

pub(super) struct RandomSource(ChaCha12Rng);

impl RandomSource {
    pub(super) fn of_run(run_id: &str) -> Self {
        Self(ChaCha12Rng::from_seed(Sha256::digest(run_id.as_bytes()).into()))
    }

    pub(super) fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }
}

/// A type that [`random`](crate::workflow::random) can return.
pub trait Random: sealed::Sealed {
    #[doc(hidden)]
    fn from_bits(next: &mut dyn FnMut() -> u64) -> Self;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! from_low_bits {
    ($($T:ty),*) => {
        $(
            impl sealed::Sealed for $T {}
            impl Random for $T {
                fn from_bits(next: &mut dyn FnMut() -> u64) -> Self {
                    next() as $T
                }
            }
        )*
    };
}
from_low_bits!(u8, u16, u32, u64, usize, i8, i16, i32, i64);

impl sealed::Sealed for bool {}
impl Random for bool {
    fn from_bits(next: &mut dyn FnMut() -> u64) -> Self {
        next() & 1 == 1
    }
}

impl sealed::Sealed for f64 {}
/// Values are at least 0 and less than 1, in steps of 2⁻⁵³.
impl Random for f64 {
    fn from_bits(next: &mut dyn FnMut() -> u64) -> Self {
        (next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

impl sealed::Sealed for u128 {}
impl Random for u128 {
    fn from_bits(next: &mut dyn FnMut() -> u64) -> Self {
        let high = next();
        u128::from(high) << 64 | u128::from(next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // These numbers are part of every history: they must never change.
    #[test]
    fn a_run_id_always_leads_to_the_same_numbers() {
        let mut source = RandomSource::of_run("0190a5b2-0000-7000-8000-000000000001");
        let numbers = [source.next_u64(), source.next_u64()];
        expect_test::expect!["[11787625437910337119, 15428485418842565020]"].assert_eq(&format!("{numbers:?}"));
    }
}

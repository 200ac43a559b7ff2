//! Tests of the whole project: end to end, interop, the real server, and house checks.

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod e2e;
#[cfg(test)]
mod house;
#[cfg(test)]
mod killed;
#[cfg(test)]
mod random;
#[cfg(test)]
mod recorded;
#[cfg(test)]
mod target;
#[cfg(test)]
mod unheard;

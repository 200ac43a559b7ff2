//! What concerns the project as a whole: end-to-end tests, interop, the real server, and the house checks.

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod e2e;
#[cfg(test)]
mod house;
#[cfg(test)]
mod killed;
#[cfg(test)]
mod recorded;
#[cfg(test)]
mod target;
#[cfg(test)]
mod unheard;

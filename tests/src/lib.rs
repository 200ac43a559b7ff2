//! everloop-tests

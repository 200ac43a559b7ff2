//! everloop-examples

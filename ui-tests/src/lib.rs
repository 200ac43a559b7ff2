//! everloop-ui-tests

//! Each program in `wrong/` must not compile, and the compiler must say what the file beside it says: at the user's own
//! token, what was expected, and what to write.
//!
//! `TRYBUILD=overwrite cargo test -p everloop-ui-tests` accepts what it says now; review the change like code. The messages
//! are those of the pinned toolchain.

#[test]
fn wrong_programs_are_refused() {
    trybuild::TestCases::new().compile_fail("wrong/*.rs");
}

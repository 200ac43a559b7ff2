# Names for commands that work without just.

# Runs all checks
verify:
    .ci/run

# Accepts the tests' current output as expected; review the difference before committing it
bless *filter:
    UPDATE_EXPECT=1 TRYBUILD=overwrite cargo test --workspace {{filter}}

# Measures workflows per second, and more
bench *arguments:
    cargo run --release -p everloop-bench -- {{arguments}}

# Checks that acknowledged operations survive kills and power losses
crash *arguments:
    cargo run --release -p everloop-crash -- {{arguments}}

# Runs the end-to-end tests against a real Temporal server
reference *filter:
    tests/reference/run {{filter}}

# Tests mixed workflows with the Python and Go SDKs, on our server and the real one
interop:
    tests/interop/run

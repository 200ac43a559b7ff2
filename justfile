# Names for commands that work without just.

# Everything that has to pass
verify:
    .ci/run

# Accepts what tests print now as what they expect; read the difference before committing it
bless *filter:
    UPDATE_EXPECT=1 TRYBUILD=overwrite cargo test --workspace {{filter}}

# Workflows a second, and other measurements
bench *arguments:
    cargo run --release -p everloop-bench -- {{arguments}}

# Kills and power losses, and whether anything acknowledged is missing
crash *arguments:
    cargo run --release -p everloop-crash -- {{arguments}}

# The end-to-end tests against a real Temporal server
reference *filter:
    tests/reference/run {{filter}}

# Mixed workflows with the Python and Go SDKs, on our server and the real one
interop:
    tests/interop/run

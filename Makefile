# Thin: every target calls a script, so that the same can be done without make.
.PHONY: run test test-long install bench fmt

# Builds the gateway and starts it with examples/quickstart.yaml; prints a curl that works when pasted.
# Variables: CONFIG=<file> PORT=<port> PROFILE=dev|release
run:
	@scripts/run

# Everything that CI runs. Variables: STAGES="fmt clippy ..." runs only these.
test:
	@scripts/test

# What is run before a release and not for every change; goes on where it was interrupted.
test-long:
	@scripts/test-long

# Puts `tollgate`, and `litellm` as another name for it, into $(PREFIX)/bin (default ~/.local).
install:
	@scripts/install

# Start-up time, memory and CPU per request of the release build.
bench:
	@scripts/bench

fmt:
	@cargo fmt --all

# The program alone, as a static binary, with the certificates that it trusts. No shell, no user database, nothing to keep
# up to date but the program.
FROM rust:1.95-bookworm AS build
# musl's compiler wrapper, since the TLS library has parts in C. Its version is Debian's to choose.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends musl-tools \
    && rm -rf /var/lib/apt/lists/* \
    && rustup target add "$(uname -m)-unknown-linux-musl"
WORKDIR /source
# For size: 19 MB in place of 26. A plan of 10 000 functions then takes 1.9 s of processor time, and 1.1 s as `cargo build` makes it, of
# the 18 s that AWS's rates let it take in any case.
ENV CARGO_PROFILE_RELEASE_OPT_LEVEL=s CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1
# The dependencies alone first: they change seldom, and the AWS SDK takes minutes.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src tests benches \
    && echo 'fn main() {}' > src/main.rs \
    && touch src/lib.rs tests/main.rs benches/fleet.rs benches/planning.rs \
    && cargo build --release --locked --target "$(uname -m)-unknown-linux-musl" \
    && rm -r src
COPY src src
COPY config config
# The commit that it is built from, for --version. An argument counts from its line on, so that another commit does not
# build the dependencies again.
ARG REVISION=unknown
# The image is for the architecture it is built on: x86_64 or aarch64. A file that is older than the build of its placeholder
# would be taken for built.
RUN touch src/main.rs src/lib.rs \
    && LAMBDA_VPC_REVISION="$REVISION" cargo build --release --locked --target "$(uname -m)-unknown-linux-musl" \
    && mkdir -p /image/etc/ssl/certs /image/etc/lambda-vpc-controller \
    && install -d -m 1777 /image/tmp \
    && install -d -m 0700 /state \
    && cp "target/$(uname -m)-unknown-linux-musl/release/lambda-vpc-controller" /image/ \
    && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/

FROM scratch
ARG REVISION=unknown
LABEL org.opencontainers.image.title="lambda-vpc-controller" \
      org.opencontainers.image.description="Keeps AWS Lambda functions attached to the VPCs that a file in git says" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image /
# For a volume of what outlives the container: a new one gets this owner.
COPY --from=build --chown=65532:65532 /state /var/lib/lambda-vpc-controller
# Mount the settings and the desired state as a directory: a single file that is mounted is never updated.
ENV LAMBDA_VPC_CONFIG=/etc/lambda-vpc-controller/controller.toml \
    LAMBDA_VPC_LISTEN=0.0.0.0:9464
USER 65532:65532
EXPOSE 9464
# Asks the daemon's /livez. Whether it is ready as well (AWS has answered), `probe readyz` tells.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 CMD ["/lambda-vpc-controller", "probe"]
ENTRYPOINT ["/lambda-vpc-controller"]
CMD ["run"]

# syntax=docker/dockerfile:1
FROM rust:1.95-bookworm AS build
WORKDIR /source
# The dependencies alone first: they change seldom, and the AWS SDK takes minutes.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src tests benches \
    && echo 'fn main() {}' > src/main.rs \
    && touch src/lib.rs tests/main.rs benches/fleet.rs benches/planning.rs \
    && cargo build --release --locked \
    && rm -r src
COPY src src
COPY config config
# A file that is older than the build of its placeholder would be taken for built.
RUN touch src/main.rs src/lib.rs && cargo build --release --locked

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /source/target/release/lambda-vpc-controller /usr/local/bin/lambda-vpc-controller
# Mount the settings and the desired state as a directory: a single file that is mounted is never updated.
ENV LAMBDA_VPC_CONFIG=/etc/lambda-vpc-controller/controller.toml \
    LAMBDA_VPC_LISTEN=0.0.0.0:9464
USER 65532:65532
EXPOSE 9464
ENTRYPOINT ["/usr/local/bin/lambda-vpc-controller"]
CMD ["run"]

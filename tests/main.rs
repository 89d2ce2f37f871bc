//! All integration tests, in one binary: each further one would link the AWS SDK again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod answers;
mod api;
mod authorization;
mod bad_days;
mod bad_reads;
mod board;
mod cli;
mod daemon;
mod desired_directory;
mod diagnostics;
mod docs;
mod fault_matrix;
mod fleet;
mod following;
mod guard;
mod histories;
mod hostile;
mod import;
mod kept;
mod killed;
mod kinds;
mod moto;
mod networks;
mod observed;
mod other_days;
mod page;
mod paused;
mod prometheus;
mod python;
mod rights;
mod schema;
mod scopes;
mod secrets;
mod served;
mod simulator_cli;
mod simulator_doors;
mod simulator_faults;
mod simulator_wire;
mod soak;
mod status;
mod structure;
mod support;
mod versions;
mod worlds;

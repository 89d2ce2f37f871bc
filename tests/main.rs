//! All integration tests, in one binary: every further one would link the AWS SDK again.

mod python;
mod served;
mod simulator_cli;
mod simulator_doors;
mod simulator_wire;

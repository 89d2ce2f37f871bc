//! An AWS account in memory, for tests, for trying the controller out, and for showing it.
//!
//! The hard parts of AWS are its times and its refusals: an update that goes on for a minute, a policy that counts only
//! some seconds after it was attached, a revision that changes twice. Emulators leave just those out. So this room
//! models them, for the few operations that this controller uses, and nothing else.
//!
//! ```text
//!            ┌ door: Read and Write, in the same process ┐
//!  callers ──┤                                           ├──▶ account: pure, the time passed in
//!            └ http: Lambda's JSON; EC2, IAM, STS' XML   ┘         ▲
//!                                                        world: what is there at the start (TOML)
//! ```
//!
//! Both doors lead through `Door::call`, which knows the time and writes down what was called; so the two give the
//! same answers, and what goes wrong on purpose (faults, quotas of requests) has one place to come in.

mod account;
mod clock;
mod door;
mod faults;
pub mod http;
mod world;

pub use account::*;
pub use clock::StillClock;
pub use door::{Call, Door};
pub use faults::{Fault, Faults, Match, Misbehaviour};
pub use world::{
    DeclaredAnswer, DeclaredFault, DeclaredFaults, DeclaredFunction, DeclaredMeddler, DeclaredPolicy, DeclaredQuotas,
    DeclaredRate, DeclaredRole, DeclaredRoute, DeclaredSecurityGroup, DeclaredService, DeclaredSubnet, DeclaredTimings,
    DeclaredVersion, DeclaredVpc, Defaults, World, WorldError,
};

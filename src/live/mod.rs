//! AWS becomes facts: what was seen, what is known to be absent, and what is not known.
//!
//! [`survey`] looks at a whole scope and [`look`] at one function. Both turn a failed read into [`Seen::Unknown`] with
//! its fault, never into an absence.

mod facts;
mod look;
mod survey;

pub use facts::{Facts, Fault, RoleFacts, ScopeFacts, Seen, Simulation, SubnetFacts, VpcFacts};
pub use look::{Looked, RoleNeeds, look};
pub use survey::{FunctionNeeds, Needs, Simulate, Surveyed, survey};

//! AWS becomes facts: what was seen, what is known to be absent, and what is not known.
//!
//! [`survey`] looks at what is wanted of a scope, [`look`] at one function, and [`fleet`] at a scope of which nobody has
//! asked anything yet. All turn a failed read into [`Seen::Unknown`] with its fault, never into an absence.

mod facts;
mod fleet;
mod kept;
mod look;
mod networks;
mod owner;
mod pages;
mod published;
mod roles;
mod survey;
mod way_out;

use facts::Listings;
pub use facts::{
    Asked, EdgeTrust, Facts, Fault, Interfaces, Old, OldFacts, RoleFacts, ScopeFacts, Seen, Simulation, SubnetFacts,
    VpcFacts,
};
pub use fleet::fleet;
pub use look::{Looked, RoleNeeds, look};
pub use networks::GroupNeeds;
pub use owner::owner;
pub use published::{Published, PublishedByName};
pub use survey::{FunctionNeeds, Needs, PatternNeeds, Simulate, Surveyed, survey};
pub use way_out::{Leads, WayOut};

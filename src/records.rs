//! What a scope's record is kept in: two calls, so that there may be another keeper than a directory.
//!
//! What a record says is no matter of this room; it is a text. A record that is stored is there after the end of the
//! process, whole or not at all.

mod directory;

use std::future::Future;
use std::io;
use std::pin::Pin;

pub use directory::Directory;

use crate::names::ScopeKey;

/// A record on its way from where it is kept, to be awaited; none where there is none.
pub type Loading<'a> = Pin<Box<dyn Future<Output = io::Result<Option<String>>> + Send + 'a>>;
/// A record on its way to where it is kept, to be awaited.
pub type Storing<'a> = Pin<Box<dyn Future<Output = io::Result<()>> + Send + 'a>>;

/// Keeps the record of each scope beyond the end of the process. Both calls come to an end within seconds.
pub trait Records: Send + Sync {
    /// The record that was stored last.
    fn load<'a>(&'a self, scope: &'a ScopeKey) -> Loading<'a>;

    /// Stores a record in place of the one before. After an error either of the two may be there.
    fn store<'a>(&'a self, scope: &'a ScopeKey, record: String) -> Storing<'a>;
}

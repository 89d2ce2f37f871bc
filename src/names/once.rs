//! What repeats, kept once.

use std::collections::BTreeSet;

/// Values of which equal ones are to be one: of what is shared behind an `Arc`, the first that was seen.
#[derive(Debug)]
pub struct Once<T>(BTreeSet<T>);

impl<T: Ord + Clone> Once<T> {
    /// The value that is equal to this one and was there first.
    pub fn of(&mut self, value: T) -> T {
        match self.0.get(&value) {
            Some(first) => first.clone(),
            None => {
                self.0.insert(value.clone());
                value
            }
        }
    }
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

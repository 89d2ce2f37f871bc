//! `overruled` in a world file: who overrules, or `true` where that makes no difference.

use std::fmt;

use serde::de::{Deserializer, Error, Visitor};

use crate::simulator::account::Overruler;

/// Reads `"boundary"`, `"organisation"`, `"scoped"`, `true` (the organisation) or `false`.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Overruler>, D::Error> {
    from.deserialize_any(Who)
}

struct Who;

impl Visitor<'_> for Who {
    type Value = Option<Overruler>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"boundary\", \"organisation\", \"scoped\", true or false")
    }

    fn visit_bool<E: Error>(self, overruled: bool) -> Result<Self::Value, E> {
        Ok(overruled.then_some(Overruler::Organisation))
    }

    fn visit_str<E: Error>(self, who: &str) -> Result<Self::Value, E> {
        match who {
            "boundary" => Ok(Some(Overruler::Boundary)),
            "organisation" => Ok(Some(Overruler::Organisation)),
            "scoped" => Ok(Some(Overruler::Scoped)),
            _ => Err(E::invalid_value(serde::de::Unexpected::Str(who), &self)),
        }
    }
}

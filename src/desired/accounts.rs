//! Which account is meant.

use std::collections::BTreeMap;

use crate::file;
use crate::names::{AccountId, NameError, Region};

/// What is known of accounts and regions outside the file.
#[derive(Clone, Debug)]
pub struct Accounts {
    /// The accounts of the settings, by name.
    pub named: BTreeMap<String, AccountId>,
    /// The account of an entry that states none: whoever the credentials belong to.
    pub own: AccountId,
    /// The region of an entry that states none: `AWS_REGION`.
    pub region: Option<Region>,
    /// The regions that AWS opened after this program was made, as the settings have them.
    pub new_regions: Vec<Region>,
}

impl Accounts {
    /// For checks without AWS: nobody knows whose the credentials are.
    pub fn without_aws(named: BTreeMap<String, AccountId>, region: Option<Region>) -> Self {
        Self { named, own: AccountId::nobody(), region, new_regions: Vec::new() }
    }

    /// The account that a person means, by its name in the settings or by its id.
    pub fn find(&self, text: &str) -> Result<AccountId, NoAccount> {
        match self.named.get(text) {
            Some(id) => Ok(id.clone()),
            None if text.bytes().all(|b| b.is_ascii_digit()) => Ok(AccountId::parse(text)?),
            None => Err(NoAccount::Unknown { given: text.to_owned(), known: self.named.keys().cloned().collect() }),
        }
    }

    pub(super) fn stated(&self, id: &AccountId) -> bool {
        self.named.values().any(|named| named == id)
    }
}

/// Why a text means no account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAccount {
    /// It is meant as an id, but is none.
    #[error(transparent)]
    NoId(#[from] NameError),
    /// No account of the settings has this name.
    #[error("the settings have no account `{given}`")]
    Unknown {
        /// What was given.
        given: String,
        /// The names that the settings have.
        known: Vec<String>,
    },
}

impl NoAccount {
    /// What to write instead, where the message does not say it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::NoId(_) => None,
            Self::Unknown { known, .. } if known.is_empty() => {
                Some("write its id (twelve digits), or name it with [[account]] in the settings (--config)".to_owned())
            }
            Self::Unknown { known, .. } => {
                let known = file::listed(known.iter().map(String::as_str));
                Some(format!("the settings have {known}; an id of twelve digits works too"))
            }
        }
    }

    /// What is wrong with the text, in few words.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::NoId(_) => "",
            Self::Unknown { .. } => "not a known name",
        }
    }
}

//! Short ids, for tests: a table of them can be read, but no file may have them. They are written out before a text is parsed, and
//! cut again in what comes out.

use std::sync::Arc;

use super::{Accounts, DesiredState, Entry, Intent, Pattern, Pick, Source, Terms, Unusable, Want};
use crate::names::{SecurityGroupId, SubnetId, VpcId};

impl DesiredState {
    /// Parses and resolves a file whose ids are such as `vpc-1` and `subnet-public`.
    pub(crate) fn of_short_ids(source: &Source, accounts: &Accounts) -> Result<Self, Unusable> {
        let text =
            ["vpc-", "subnet-", "sg-"].iter().fold(source.text().to_owned(), |text, prefix| written_out(&text, prefix));
        let source = Source::from_bytes(source.path(), text.into())?;
        let Self { entries, patterns, digest, warnings, .. } = Self::check(&source, accounts)?;
        let patterns =
            patterns.iter().map(|it| Arc::new(Pattern { terms: cut(&it.terms), ..(**it).clone() })).collect();
        let mut state = Self { entries: Vec::new(), patterns, digest, warnings, by_key: Default::default() };
        entries.iter().for_each(|it| state.list(Arc::new(Entry { terms: cut(&it.terms), ..(**it).clone() })));
        Ok(state)
    }
}

/// `'sg-lambda'` becomes `'sg-e6c616d6264610000'`: an id that begins with an e stands for the characters whose codes follow.
fn written_out(text: &str, prefix: &str) -> String {
    let begin = format!("'{prefix}");
    let mut parts = text.split(&begin);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |done, part| {
        let (short, rest) = part.split_once('\'').unwrap_or((part, ""));
        let codes: String = short.bytes().map(|byte| format!("{byte:02x}")).collect();
        format!("{done}{begin}e{codes:0<16}'{rest}")
    })
}

fn short(id: &str) -> String {
    let (prefix, digits) = id.split_once("-e").unwrap_or((id, ""));
    let codes = digits.as_bytes().chunks(2).map(|code| u8::from_str_radix(&String::from_utf8_lossy(code), 16));
    let chars: String = codes.map_while(|code| code.ok().filter(|code| *code != 0)).map(char::from).collect();
    format!("{prefix}-{chars}")
}

fn cut(terms: &Terms) -> Arc<Terms> {
    let want = match &terms.want {
        Want::Attached(intent) => Want::Attached(Arc::new(Intent {
            vpc: VpcId::parse(&short(intent.vpc.as_str())).unwrap(),
            subnets: pick(&intent.subnets, |id| SubnetId::parse(&short(id.as_str())).unwrap()),
            security_groups: pick(&intent.security_groups, |id| SecurityGroupId::parse(&short(id.as_str())).unwrap()),
            ..(**intent).clone()
        })),
        other => other.clone(),
    };
    Arc::new(Terms { want, ..terms.clone() })
}

fn pick<Id: Ord + Clone>(pick: &Pick<Id>, short: impl Fn(&Id) -> Id) -> Pick<Id> {
    match pick {
        Pick::Ids(ids) => Pick::Ids(ids.iter().map(short).collect()),
        other => other.clone(),
    }
}

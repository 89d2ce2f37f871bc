//! Which functions somebody asks for, and in which order. Everything that is not understood is told, with what would be.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::answer::{Function, Functions};
use crate::board::Line;
use crate::desired::Want;
use crate::names::{AccountId, FunctionKey, Region, ScopeKey, WallClock, fits};
use crate::plan::{Reason, State};

/// So many functions come in one answer unless somebody says otherwise.
const LIMIT: usize = 100;
/// No answer has more.
pub(super) const MOST: usize = 1000;
/// The longest name or pattern that is looked for, in characters. Names in AWS are shorter, and a long pattern costs much.
pub(super) const LONGEST: usize = 140;

/// The parameters, with what each takes.
pub(super) const PARAMETERS: &[(&str, &str)] = &[
    (
        "state",
        "a state: in_sync, progressing, out_of_sync, awaiting_approval, blocked, unknown or excluded; may be repeated",
    ),
    ("reason", "the name of a reason, as in docs/reasons.md"),
    ("vpc", "a VPC id, or the name of a VPC's entry, of up to 140 characters"),
    ("account", "an account id"),
    ("region", "a region"),
    ("name", "a function's name of up to 140 characters, with * for any text and ? for one character"),
    ("sort", "name (the default), state (what needs somebody first), since or next_try; with - before it: reversed"),
    ("limit", "how many at most, from 1 to 1000; 100 if left out"),
    ("cursor", "what the answer before called `next`, with the same `sort`"),
];

/// What is asked for.
#[derive(Debug, Default)]
pub(super) struct Query {
    states: BTreeSet<State>,
    reason: Option<Reason>,
    vpc: Option<String>,
    account: Option<AccountId>,
    region: Option<Region>,
    name: Option<String>,
    sort: Option<Sort>,
    limit: Option<usize>,
    cursor: Option<Cursor>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sort {
    by: By,
    order: Order,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum By {
    #[default]
    Name,
    State,
    Since,
    NextTry,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Order {
    #[default]
    Forward,
    Backward,
}

/// Where a function stands in an order. Two functions never stand in the same place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    rank: u64,
    key: FunctionKey,
}

/// Where an answer ended, and in which order: in another one the same place would be among other functions.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cursor {
    sort: Sort,
    place: Place,
}

/// Refuses every parameter, where there is none to be given.
pub(super) fn none(text: Option<&str>) -> Result<(), String> {
    match form_urlencoded::parse(text.unwrap_or_default().as_bytes()).next() {
        Some((name, _)) => Err(format!("there is no parameter `{name}`; this takes none")),
        None => Ok(()),
    }
}

impl Query {
    /// Reads the part of an address behind the question mark.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut query = Self::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            query.take(&name, &value)?;
        }
        let sort = query.sort();
        match query.cursor.as_ref().map(|cursor| cursor.sort).filter(|other| *other != sort) {
            Some(other) => {
                Err(format!("the `cursor` is one of `sort={other}`, and what is asked for is `sort={sort}`"))
            }
            None => Ok(query),
        }
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), String> {
        let Some((_, takes)) = PARAMETERS.iter().find(|(known, _)| *known == name) else {
            let known: Vec<&str> = PARAMETERS.iter().map(|(known, _)| *known).collect();
            return Err(format!("there is no parameter `{}`; there are {}", beginning(name), known.join(", ")));
        };
        let once = match name {
            "state" => State::ALL.into_iter().find(|state| state.name() == value).map(|it| {
                self.states.insert(it);
                true
            }),
            "reason" => Reason::ALL.iter().find(|reason| reason.name() == value).map(|it| set(&mut self.reason, *it)),
            "vpc" => not_too_long(value).map(|it| set(&mut self.vpc, it)),
            "account" => AccountId::parse(value).ok().map(|it| set(&mut self.account, it)),
            "region" => Region::parse(value).ok().map(|it| set(&mut self.region, it)),
            "name" => not_too_long(value).map(|it| set(&mut self.name, it)),
            "sort" => Sort::parse(value).map(|it| set(&mut self.sort, it)),
            "limit" => value.parse().ok().filter(|it| (1..=MOST).contains(it)).map(|it| set(&mut self.limit, it)),
            _ => Cursor::parse(value).map(|it| set(&mut self.cursor, it)),
        };
        match once {
            Some(true) => Ok(()),
            Some(false) => Err(format!("`{name}` is given twice")),
            None => Err(format!("`{}` is no value of `{name}`: it takes {takes}", beginning(value))),
        }
    }

    fn sort(&self) -> Sort {
        self.sort.unwrap_or_default()
    }

    /// The next of those functions that are asked for.
    pub(super) fn answer(&self, lines: &[Arc<Line>], wall: WallClock) -> Functions {
        let sort = self.sort();
        let mut fitting: Vec<&Line> = lines.iter().map(Arc::as_ref).filter(|line| self.wants(line)).collect();
        let total = fitting.len();
        if let Some(Cursor { place, .. }) = &self.cursor {
            fitting.retain(|line| sort.compares_to(line, place) == Ordering::Greater);
        }
        let limit = self.limit.unwrap_or(LIMIT);
        // Only those that are shown are put into order.
        if fitting.len() > limit {
            fitting.select_nth_unstable_by(limit, |a, b| sort.compare(a, b));
        }
        let more = fitting.len() > limit;
        fitting.truncate(limit);
        fitting.sort_unstable_by(|a, b| sort.compare(a, b));
        let last = fitting.last().filter(|_| more);
        let next = last.map(|line| Cursor { sort, place: sort.place(line) }.to_string());
        Functions { total, functions: fitting.into_iter().map(|line| Function::of(line, wall)).collect(), next }
    }

    fn wants(&self, line: &Line) -> bool {
        let FunctionKey { scope: ScopeKey { account, region }, name } = &line.entry.key;
        let state = || self.states.is_empty() || self.states.contains(&line.outcome.state());
        let reason = || self.reason.is_none_or(|reason| line.outcome.why().is_some_and(|why| why.reason == reason));
        let vpc = || self.vpc.as_ref().is_none_or(|vpc| is_in(line, vpc));
        let name = || self.name.as_ref().is_none_or(|pattern| fits(pattern, name.as_str()));
        self.account.as_ref().is_none_or(|wanted| wanted == account)
            && self.region.as_ref().is_none_or(|wanted| wanted == region)
            && state()
            && reason()
            && vpc()
            && name()
    }
}

/// A text to look for, if it may be so long.
fn not_too_long(text: &str) -> Option<String> {
    (text.chars().count() <= LONGEST).then(|| text.to_owned())
}

/// As much of a text as is repeated to whoever sent it.
fn beginning(text: &str) -> String {
    let mut beginning: String = text.chars().take(LONGEST).collect();
    if beginning.len() < text.len() {
        beginning.push('…');
    }
    beginning
}

/// Takes a value over. Whether there was none before.
fn set<T>(into: &mut Option<T>, value: T) -> bool {
    into.replace(value).is_none()
}

fn is_in(line: &Line, vpc: &str) -> bool {
    match &line.entry.terms.want {
        Want::Detached | Want::Disputed(_) => false,
        Want::Attached(intent) => intent.vpc.as_str() == vpc || intent.name.as_deref() == Some(vpc),
    }
}

impl By {
    const ALL: [Self; 4] = [Self::Name, Self::State, Self::Since, Self::NextTry];

    fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::State => "state",
            Self::Since => "since",
            Self::NextTry => "next_try",
        }
    }
}

impl Sort {
    /// Every order.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        By::ALL.into_iter().flat_map(|by| [Order::Forward, Order::Backward].map(|order| Self { by, order }))
    }

    fn parse(text: &str) -> Option<Self> {
        let (name, order) = match text.strip_prefix('-') {
            Some(name) => (name, Order::Backward),
            None => (text, Order::Forward),
        };
        let by = By::ALL.into_iter().find(|by| by.name() == name)?;
        Some(Self { by, order })
    }

    fn rank(self, line: &Line) -> u64 {
        match self.by {
            By::Name => 0,
            By::State => urgency(line.outcome.state()),
            By::Since => line.since.0,
            By::NextTry => line.next.map_or(u64::MAX, |next| next.0),
        }
    }

    fn place(self, line: &Line) -> Place {
        Place { rank: self.rank(line), key: line.entry.key.clone() }
    }

    fn compare(self, a: &Line, b: &Line) -> Ordering {
        self.directed(order((self.rank(a), &a.entry.key), (self.rank(b), &b.entry.key)))
    }

    fn compares_to(self, line: &Line, place: &Place) -> Ordering {
        self.directed(order((self.rank(line), &line.entry.key), (place.rank, &place.key)))
    }

    fn directed(self, ordering: Ordering) -> Ordering {
        match self.order {
            Order::Forward => ordering,
            Order::Backward => ordering.reverse(),
        }
    }
}

/// By rank, then by name: the same function of several accounts and regions stands together.
fn order((rank, key): (u64, &FunctionKey), (other, than): (u64, &FunctionKey)) -> Ordering {
    rank.cmp(&other).then_with(|| key.name.cmp(&than.name)).then_with(|| key.scope.cmp(&than.scope))
}

/// What needs somebody comes first.
fn urgency(state: State) -> u64 {
    let place = State::BY_URGENCY.iter().position(|other| *other == state);
    place.and_then(|place| u64::try_from(place).ok()).unwrap_or(u64::MAX)
}

impl std::fmt::Display for Sort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = match self.order {
            Order::Forward => "",
            Order::Backward => "-",
        };
        write!(f, "{sign}{}", self.by.name())
    }
}

impl Cursor {
    fn parse(text: &str) -> Option<Self> {
        let [sort, rank, account, region, name] = text.split('/').collect::<Vec<_>>()[..] else { return None };
        let place = Place { rank: rank.parse().ok()?, key: FunctionKey::parse(account, region, name).ok()? };
        Some(Self { sort: Sort::parse(sort)?, place })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { sort, place: Place { rank, key } } = self;
        write!(f, "{sort}/{rank}/{key}")
    }
}

//! Which functions somebody asks for, and in which order. Everything that is not understood is told, with what would be.

use std::cmp::Ordering;
use std::sync::Arc;

use super::answer::{Function, Functions};
use crate::board::Line;
use crate::desired::Want;
use crate::names::{AccountId, FunctionKey, Region, Scope, fits};
use crate::plan::{Reason, State};

/// So many functions come in one answer unless somebody says otherwise.
const LIMIT: usize = 100;
/// No answer has more.
const MOST: usize = 1000;

/// The parameters, with what each takes.
pub(super) const PARAMETERS: &[(&str, &str)] = &[
    ("state", "a state: in_sync, progressing, drifted, held, blocked, unknown or excluded; may be repeated"),
    ("reason", "the name of a reason, as in docs/reasons.md"),
    ("vpc", "a VPC id, or the name of a VPC's entry"),
    ("account", "an account id"),
    ("region", "a region"),
    ("name", "a function's name, with * for any text and ? for one character"),
    ("sort", "name (the default), state (what needs somebody first), since or next_try; with - before it: reversed"),
    ("limit", "how many at most, from 1 to 1000; 100 if left out"),
    ("cursor", "what the answer before called `next`"),
];

/// What is asked for.
#[derive(Debug, Default)]
pub(super) struct Query {
    states: Vec<State>,
    reason: Option<Reason>,
    vpc: Option<String>,
    account: Option<AccountId>,
    region: Option<Region>,
    name: Option<String>,
    sort: Sort,
    limit: Option<usize>,
    cursor: Option<Place>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sort {
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
        Ok(query)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), String> {
        let Some((_, takes)) = PARAMETERS.iter().find(|(known, _)| *known == name) else {
            let known: Vec<&str> = PARAMETERS.iter().map(|(known, _)| *known).collect();
            return Err(format!("there is no parameter `{name}`; there are {}", known.join(", ")));
        };
        let once = match name {
            "state" => match State::ALL.into_iter().find(|state| state.name() == value) {
                Some(state) => {
                    self.states.push(state);
                    Some(true)
                }
                None => None,
            },
            "reason" => Reason::ALL.iter().find(|reason| reason.name() == value).map(|it| set(&mut self.reason, *it)),
            "vpc" => Some(set(&mut self.vpc, value.to_owned())),
            "account" => AccountId::parse(value).ok().map(|it| set(&mut self.account, it)),
            "region" => Region::parse(value).ok().map(|it| set(&mut self.region, it)),
            "name" => Some(set(&mut self.name, value.to_owned())),
            "sort" => Sort::parse(value).map(|sort| {
                self.sort = sort;
                true
            }),
            "limit" => value.parse().ok().filter(|it| (1..=MOST).contains(it)).map(|it| set(&mut self.limit, it)),
            _ => Place::parse(value).map(|it| set(&mut self.cursor, it)),
        };
        match once {
            Some(true) => Ok(()),
            Some(false) => Err(format!("`{name}` is given twice")),
            None => Err(format!("`{value}` is no value of `{name}`: it takes {takes}")),
        }
    }

    /// The next of those functions that are asked for.
    pub(super) fn answer(&self, lines: &[Arc<Line>]) -> Functions {
        let mut fitting: Vec<&Line> = lines.iter().map(Arc::as_ref).filter(|line| self.wants(line)).collect();
        let total = fitting.len();
        if let Some(cursor) = &self.cursor {
            fitting.retain(|line| self.sort.compares_to(line, cursor) == Ordering::Greater);
        }
        let limit = self.limit.unwrap_or(LIMIT);
        // Only those that are shown are put into order.
        if fitting.len() > limit {
            fitting.select_nth_unstable_by(limit, |a, b| self.sort.compare(a, b));
        }
        let more = fitting.len() > limit;
        fitting.truncate(limit);
        fitting.sort_unstable_by(|a, b| self.sort.compare(a, b));
        let last = fitting.last().filter(|_| more);
        let next = last.map(|line| self.sort.place(line).to_string());
        Functions { total, functions: fitting.into_iter().map(Function::from).collect(), next }
    }

    fn wants(&self, line: &Line) -> bool {
        let FunctionKey { scope: Scope { account, region }, name } = &line.entry.key;
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

impl Sort {
    fn parse(text: &str) -> Option<Self> {
        let (name, order) = match text.strip_prefix('-') {
            Some(name) => (name, Order::Backward),
            None => (text, Order::Forward),
        };
        let by = match name {
            "name" => By::Name,
            "state" => By::State,
            "since" => By::Since,
            "next_try" => By::NextTry,
            _ => return None,
        };
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

impl Place {
    fn parse(text: &str) -> Option<Self> {
        let [rank, account, region, name] = text.split('/').collect::<Vec<_>>()[..] else { return None };
        Some(Self { rank: rank.parse().ok()?, key: FunctionKey::parse(account, region, name).ok()? })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.rank, self.key)
    }
}

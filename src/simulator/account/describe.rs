//! What all of EC2's listings have in common: ids, filters and pages.
//!
//! An id that does not exist fails the whole call; a filter value that does not exist gives fewer items. That is why
//! the controller reads by filter, and why both are modelled.

use super::AwsError;
use crate::cloud::{Marker, Page, Tags};
use crate::names::fits;

/// The request of any `Describe…` operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Describe {
    /// Resources by id; each must exist.
    pub ids: Vec<String>,
    /// Conditions, all of which must hold.
    pub filters: Vec<Filter>,
    /// The most items in one page; all of them if left out.
    pub max_results: Option<u64>,
    /// Where the page begins.
    pub next_token: Option<String>,
}

impl Describe {
    /// The resources that a filter fits.
    pub fn by(name: &str, values: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let values = values.into_iter().map(Into::into).collect();
        Self { filters: vec![Filter { name: name.to_owned(), values }], ..Self::default() }
    }
}

/// A condition: the named property has one of the values, in which `*` and `?` stand for any text and any character.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The property, such as `vpc-id` or `tag:tier`.
    pub name: String,
    /// The values, one of which must fit.
    pub values: Vec<String>,
}

/// A property by which a listing can be filtered, and its values on a resource.
pub(super) type Property<R> = (&'static str, fn(&R) -> Vec<String>);

/// What a kind of resource has of its own.
pub(super) trait Resource: Clone + 'static {
    /// The properties that can be filtered by, besides tags.
    const PROPERTIES: &'static [Property<Self>];
    /// What EC2 calls it in a text: `subnet ID`.
    const NOUN: &'static str;
    /// The code for an id that does not exist.
    const NOT_FOUND: &'static str;
    /// The largest page.
    const LARGEST_PAGE: u64;
    /// Whether a page size and ids exclude each other.
    const PAGES_EXCLUDE_IDS: bool = false;

    fn id(&self) -> &str;
    fn tags(&self) -> &Tags;
}

/// The most filter values in one call.
const FILTER_VALUES: usize = 200;

/// One page of resources, sorted by id; no longer than `most`, whatever is asked for.
pub(super) fn describe<'a, R: Resource>(
    all: impl Iterator<Item = &'a R> + Clone,
    request: &Describe,
    most: Option<usize>,
) -> Result<Page<R>, AwsError> {
    check(request, R::LARGEST_PAGE, R::PAGES_EXCLUDE_IDS)?;
    for id in &request.ids {
        if !all.clone().any(|resource| resource.id() == id) {
            return Err(AwsError::new(400, R::NOT_FOUND, format!("The {} '{id}' does not exist", R::NOUN)));
        }
    }
    let conditions: Vec<Condition<R>> = request.filters.iter().map(Condition::new).collect::<Result<_, _>>()?;
    let mut found: Vec<&R> = all
        .filter(|it| request.ids.is_empty() || request.ids.iter().any(|id| id == it.id()))
        .filter(|it| conditions.iter().all(|condition| condition.holds(it)))
        .filter(|it| request.next_token.as_ref().is_none_or(|last| it.id() > last.as_str()))
        .collect();
    found.sort_by(|a, b| a.id().cmp(b.id()));
    let asked = request.max_results.map_or(usize::MAX, |asked| usize::try_from(asked).unwrap_or(usize::MAX));
    let most = most.map_or(asked, |most| most.min(asked));
    let more = found.len() > most;
    found.truncate(most);
    let next = found.last().filter(|_| more).map(|last| Marker(last.id().to_owned()));
    Ok(Page { items: found.into_iter().cloned().collect(), next })
}

fn check(request: &Describe, largest: u64, pages_exclude_ids: bool) -> Result<(), AwsError> {
    let invalid = |bound: &str| {
        let asked = request.max_results.unwrap_or_default();
        let text = format!("Value ( {asked} ) for parameter maxResults is invalid. Expecting a value {bound}.");
        Err(AwsError::new(400, "InvalidParameterValue", text))
    };
    match request.max_results {
        Some(asked) if asked < 5 => return invalid("greater than or equal to 5"),
        Some(asked) if asked > largest => return invalid(&format!("less than or equal to {largest}")),
        Some(_) if pages_exclude_ids && !request.ids.is_empty() => {
            let text = "The parameter maxResults cannot be used with a list of ids";
            return Err(AwsError::new(400, "InvalidParameterCombination", text));
        }
        _ => {}
    }
    if request.filters.iter().map(|filter| filter.values.len()).sum::<usize>() > FILTER_VALUES {
        let text = format!("The maximum number of filter values specified on a single call is {FILTER_VALUES}");
        return Err(AwsError::new(400, "FilterLimitExceeded", text));
    }
    Ok(())
}

/// A filter whose property is known.
struct Condition<'a, R> {
    read: Read<'a, R>,
    values: &'a [String],
}

enum Read<'a, R> {
    Property(fn(&R) -> Vec<String>),
    Tag(&'a str),
    TagKeys,
}

impl<'a, R: Resource> Condition<'a, R> {
    fn new(filter: &'a Filter) -> Result<Self, AwsError> {
        let read = if let Some(key) = filter.name.strip_prefix("tag:") {
            Read::Tag(key)
        } else if filter.name == "tag-key" {
            Read::TagKeys
        } else if let Some((_, read)) = R::PROPERTIES.iter().find(|(name, _)| *name == filter.name) {
            Read::Property(*read)
        } else {
            let text = format!("The filter '{}' is invalid", filter.name);
            return Err(AwsError::new(400, "InvalidParameterValue", text));
        };
        Ok(Self { read, values: &filter.values })
    }

    fn holds(&self, resource: &R) -> bool {
        let has: Vec<String> = match self.read {
            Read::Property(read) => read(resource),
            Read::Tag(key) => resource.tags().get(key).cloned().into_iter().collect(),
            Read::TagKeys => resource.tags().keys().cloned().collect(),
        };
        has.iter().any(|text| self.values.iter().any(|pattern| fits(pattern, text)))
    }
}

//! Listings, page by page.

use crate::cloud::{Class, CloudError, Marker, Operation, Page, Reply};

/// A listing of functions that is longer than this has no end: it would be a million functions and versions.
const MOST_OF_FUNCTIONS: usize = 20_000;
/// The same of all others, of which nobody has a hundred thousand.
const MOST: usize = 1_000;

/// How far a listing has been read.
pub(super) struct Pages {
    operation: Operation,
    /// Where the next page begins.
    from: Option<Marker>,
    /// How many have been read.
    pub(super) read: usize,
    /// Whether that was the last one.
    pub(super) over: bool,
}

impl Pages {
    pub(super) fn of(operation: Operation) -> Self {
        Self { operation, from: None, read: 0, over: false }
    }

    /// Reads the next page; none if there are no more. A short or empty page is not the end; a missing marker is. An error
    /// as well where the markers lead nowhere, or never to an end.
    pub(super) async fn next<'a, T>(
        &mut self,
        page: impl Fn(Option<Marker>) -> Reply<'a, Page<T>>,
    ) -> Result<Option<Vec<T>>, CloudError> {
        if self.over {
            return Ok(None);
        }
        let Page { items, next } = page(self.from.clone()).await?;
        self.read += 1;
        if next.is_some() && next == self.from {
            return Err(self.endless("the marker of the next page is the one of this page"));
        }
        if next.is_some() && self.read >= self.most() {
            return Err(self.endless("there are more pages than there can be"));
        }
        self.over = next.is_none();
        self.from = next;
        Ok(Some(items))
    }

    fn most(&self) -> usize {
        match self.operation {
            Operation::ListFunctions => MOST_OF_FUNCTIONS,
            _ => MOST,
        }
    }

    fn endless(&self, text: &str) -> CloudError {
        CloudError::local(self.operation, Class::Malformed, "EndlessPages", text)
    }
}

/// Reads page after page and hands over each item.
pub(super) async fn all_pages<'a, T: 'a>(
    operation: Operation,
    page: impl Fn(Option<Marker>) -> Reply<'a, Page<T>>,
    mut take: impl FnMut(T),
) -> Result<(), CloudError> {
    let mut pages = Pages::of(operation);
    while let Some(items) = pages.next(&page).await? {
        items.into_iter().for_each(&mut take);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    /// What comes of a listing whose n-th page has two items and this marker: how many items, and how it ends.
    fn listed(operation: Operation, marker: fn(u64) -> Option<u64>) -> (usize, Option<CloudError>) {
        let mut items = 0;
        let page = |from: Option<Marker>| -> Reply<'_, Page<()>> {
            let number = from.map_or(0, |Marker(text)| text.parse().unwrap());
            let next = marker(number).map(|next| Marker(next.to_string()));
            Box::pin(async move { Ok(Page { items: vec![(), ()], next }) })
        };
        let ended = all_pages(operation, page, |()| items += 1).now_or_never().unwrap();
        (items, ended.err())
    }

    #[test]
    fn a_listing_ends_where_there_is_no_marker() {
        assert_eq!(listed(Operation::DescribeSubnets, |_| None), (2, None));
        assert_eq!(listed(Operation::DescribeSubnets, |number| (number < 6).then_some(number + 1)), (14, None));
    }

    #[test]
    fn a_listing_whose_markers_never_end_ends_all_the_same_and_not_as_a_whole_one() {
        for (operation, marker, most) in [
            (Operation::DescribeSubnets, (|_| Some(1)) as fn(u64) -> Option<u64>, 2),
            (Operation::DescribeSubnets, |number| Some(number + 1), MOST),
            (Operation::ListFunctions, |number| Some(number + 1), MOST_OF_FUNCTIONS),
            // In a circle of two.
            (Operation::ListFunctions, |number| Some(number % 2 + 1), MOST_OF_FUNCTIONS),
        ] {
            let (items, error) = listed(operation, marker);
            let error = error.unwrap();
            assert_eq!((error.class, error.code.as_str()), (Class::Malformed, "EndlessPages"));
            assert_eq!(items, 2 * (most - 1), "{operation}: what was seen before counts");
        }
    }
}

//! Who waits for a token, and who gets the next one.

use std::collections::VecDeque;

/// What a call is for, as far as it decides who goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It changes something.
    Write,
    /// It reads.
    Read,
}

/// So many writes go before a read that waits; then the read goes, so that reads come to their end as well.
const WRITES_BEFORE_A_READ: usize = 3;

/// A place in a line; no two are the same.
pub(super) type Place = u64;

/// Those who wait, of each kind in the order of their coming.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    writes: VecDeque<Place>,
    reads: VecDeque<Place>,
    given: Place,
    /// How many writes have gone before the first of the reads.
    went_before: usize,
}

impl Line {
    /// Takes the last place of a kind.
    pub(super) fn join(&mut self, kind: Kind) -> Place {
        self.given += 1;
        match kind {
            Kind::Write => self.writes.push_back(self.given),
            Kind::Read => self.reads.push_back(self.given),
        }
        self.given
    }

    /// How many would go before one of this kind that comes now. Of a read that is not all that is to be said: each write
    /// that comes later may go before it as well.
    pub(super) fn ahead_of(&self, kind: Kind) -> usize {
        let (writes, reads) = (self.writes.len(), self.reads.len());
        match kind {
            Kind::Read => writes + reads,
            Kind::Write => writes + reads.min((self.went_before + writes) / WRITES_BEFORE_A_READ),
        }
    }

    /// Who gets the next token.
    pub(super) fn first(&self) -> Option<Place> {
        let (write, read) = (self.writes.front().copied(), self.reads.front().copied());
        match self.went_before < WRITES_BEFORE_A_READ {
            true => write.or(read),
            false => read.or(write),
        }
    }

    /// The first one has got its token.
    pub(super) fn served(&mut self) {
        let Some(place) = self.first() else { return };
        match self.writes.front() == Some(&place) {
            true => self.went_before += 1,
            false => self.went_before = 0,
        }
        self.leave(place);
    }

    /// One does not wait any more.
    pub(super) fn leave(&mut self, place: Place) {
        self.writes.retain(|other| *other != place);
        self.reads.retain(|other| *other != place);
        // Nobody goes before a read that does not wait.
        if self.reads.is_empty() {
            self.went_before = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Who goes in which order, when all have come: `w` and `r`, in capitals where they go.
    fn order(line: &mut Line, kinds: &str) -> String {
        let places: Vec<(Place, char)> =
            kinds.chars().map(|kind| (line.join(if kind == 'w' { Kind::Write } else { Kind::Read }), kind)).collect();
        let mut order = String::new();
        while let Some(first) = line.first() {
            order.extend(places.iter().filter(|(place, _)| *place == first).map(|(_, kind)| *kind));
            line.served();
        }
        order
    }

    #[test]
    fn writes_go_first_and_every_fourth_token_is_a_reads() {
        for (came, went) in [
            ("", ""),
            ("rrr", "rrr"),
            ("www", "www"),
            ("rrw", "wrr"),
            ("rrwwwww", "wwwrwwr"),
            ("wwwwwwwww", "wwwwwwwww"),
            ("wwwwr", "wwwrw"),
            ("rrrwwwwwwww", "wwwrwwwrwwr"),
        ] {
            assert_eq!(order(&mut Line::default(), came), went, "{came}");
        }
    }

    #[derive(Clone, Debug)]
    enum Op {
        Join(Kind),
        Serve,
        Leave(usize),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            3 => Just(Op::Join(Kind::Write)),
            3 => Just(Op::Join(Kind::Read)),
            4 => Just(Op::Serve),
            1 => (0..20_usize).prop_map(Op::Leave),
        ]
    }

    proptest! {
        #[test]
        fn nobody_is_lost_or_overtaken_by_its_own_kind_and_no_read_waits_for_more_than_three_writes_at_a_time(
            ops in prop::collection::vec(op(), 0..200),
        ) {
            let mut line = Line::default();
            let mut waiting: Vec<(Place, Kind)> = Vec::new();
            let mut writes_in_a_row = 0;
            for op in ops {
                match op {
                    Op::Join(kind) => waiting.push((line.join(kind), kind)),
                    Op::Leave(which) => if which < waiting.len() { line.leave(waiting.remove(which).0) },
                    Op::Serve => {
                        let Some(first) = line.first() else { prop_assert!(waiting.is_empty()); continue };
                        let at = waiting.iter().position(|(place, _)| *place == first);
                        let Some(at) = at else { return Err(TestCaseError::fail("it had left")) };
                        let (_, kind) = waiting.remove(at);
                        prop_assert!(waiting[..at].iter().all(|(_, other)| *other != kind), "overtaken");
                        let reads = waiting.iter().filter(|(_, kind)| *kind == Kind::Read).count();
                        let writes = waiting.iter().filter(|(_, kind)| *kind == Kind::Write).count();
                        match kind {
                            Kind::Write if reads > 0 => writes_in_a_row += 1,
                            Kind::Write => writes_in_a_row = 0,
                            Kind::Read if writes > 0 => {
                                prop_assert!(writes_in_a_row <= 3);
                                writes_in_a_row = 0;
                            }
                            Kind::Read => writes_in_a_row = 0,
                        }
                        prop_assert!(writes_in_a_row <= 3);
                        line.served();
                    }
                }
                if waiting.iter().all(|(_, kind)| *kind == Kind::Write) { writes_in_a_row = 0; }
            }
        }

        #[test]
        fn a_write_that_comes_now_goes_after_as_many_as_was_said(
            before in "[wr]{0,20}", served in 0..20_usize, later in "[wr]{0,10}",
        ) {
            let mut line = Line::default();
            let join = |line: &mut Line, kind| line.join(if kind == 'w' { Kind::Write } else { Kind::Read });
            for kind in before.chars() {
                join(&mut line, kind);
            }
            (0..served).for_each(|_| line.served());
            let ahead = line.ahead_of(Kind::Write);
            let place = line.join(Kind::Write);
            for kind in later.chars() {
                join(&mut line, kind);
            }
            let reads = line.reads.len();
            let mut went = 0;
            while line.first() != Some(place) {
                line.served();
                went += 1;
            }
            // Reads that come later may take their share where none waited.
            prop_assert!(went == ahead || (went > ahead && went - ahead <= reads), "{} {}", went, ahead);
        }
    }
}

//! Ends of answers that are text.

/// Cuts a stream of text at the first stop string, giving nothing that could be the beginning of one.
pub(super) struct StopFilter<'a> {
    stops: &'a [String],
    held: String,
}

impl<'a> StopFilter<'a> {
    pub(super) fn new(stops: &'a [String]) -> Self {
        Self { stops, held: String::new() }
    }

    /// The text that is certain after `piece`, and the stop string that ends it, if one is complete.
    pub(super) fn push(&mut self, piece: &str) -> (String, Option<String>) {
        self.held.push_str(piece);
        let found = self
            .stops
            .iter()
            .filter(|stop| !stop.is_empty())
            .filter_map(|stop| self.held.find(stop.as_str()).map(|at| (at, stop)))
            .min_by_key(|(at, _)| *at);
        if let Some((at, stop)) = found {
            let mut text = std::mem::take(&mut self.held);
            text.truncate(at);
            return (text, Some(stop.clone()));
        }
        let kept = self.held.split_off(self.certain());
        (std::mem::replace(&mut self.held, kept), None)
    }

    /// What was held back, when nothing follows.
    pub(super) fn finish(self) -> String {
        self.held
    }

    /// Length of the held text before the longest end of it that begins a stop string.
    fn certain(&self) -> usize {
        let begins = |end: &str| self.stops.iter().any(|stop| stop.starts_with(end));
        let mut starts = self.held.char_indices().map(|(at, _)| at);
        starts.find(|&at| begins(&self.held[at..])).unwrap_or(self.held.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `pieces` and compares what each gives, then what is left or which string stopped.
    #[track_caller]
    fn check(stops: &[&str], pieces: &[(&str, &str)], end: Result<&str, &str>) {
        let stops: Vec<String> = stops.iter().map(|s| (*s).to_owned()).collect();
        let mut filter = StopFilter::new(&stops);
        for (piece, expected) in pieces {
            let (text, stop) = filter.push(piece);
            assert_eq!(text, *expected, "after {piece:?}");
            if stop.is_some() {
                assert_eq!(stop.as_deref(), end.err());
                return;
            }
        }
        assert_eq!(Ok(filter.finish().as_str()), end);
    }

    #[test]
    fn nothing_uncertain_is_given() {
        check(&["###"], &[("ab#", "ab"), ("#", ""), ("c", "##c"), ("#", "")], Ok("#"));
        check(&["###"], &[("ab#", "ab"), ("##x", "")], Err("###"));
        check(&["aab"], &[("aa", ""), ("ab", "a")], Err("aab"));
        check(&["</s>", "\n\n"], &[("é\n", "é"), ("<", "\n"), ("/s", ""), (">\n\n", "")], Err("</s>"));
        check(&["bc", "abcd"], &[("xabcd", "x")], Err("abcd"));
        check(&[], &[("ab", "ab")], Ok(""));
        check(&[""], &[("ab", "ab")], Ok(""));
    }
}

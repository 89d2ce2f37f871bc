//! Texts with stars in them, by which people mean several names at once.

/// Whether a pattern with `*` and `?` fits the whole text.
pub fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where to go on when a later character does not fit: behind the last star, one character further in the text.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match (pattern.get(p), retry) {
            (Some('*'), _) => {
                retry = Some((p + 1, t));
                p += 1;
            }
            (Some(wanted), _) if *wanted == '?' || *wanted == text[t] => {
                p += 1;
                t += 1;
            }
            (_, Some((star, from))) => {
                retry = Some((star, from + 1));
                p = star;
                t = from + 1;
            }
            _ => return false,
        }
    }
    pattern[p..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn patterns_know_stars_and_question_marks() {
        for (pattern, text, expected) in [
            ("orders", "orders", true),
            ("orders", "orders-api", false),
            ("orders*", "orders-api", true),
            ("*-api", "orders-api-api", true),
            ("o?ders*", "orders", true),
            ("*", "", true),
            ("", "x", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c", false),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }
}

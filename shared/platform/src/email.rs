//! E-mail addresses as they are compared, counted and kept: the one place that says which two are the same.

/// `email` without regard to case and surrounding space.
pub fn normal(email: &str) -> String {
    email.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_surrounding_space_make_no_other_email() {
        for (email, expected) in [
            (" Ada@Example.COM\n", "ada@example.com"),
            ("ÄDA@example.com", "äda@example.com"),
            ("a da@example.com", "a da@example.com"),
            ("  ", ""),
        ] {
            assert_eq!(normal(email), expected);
        }
    }
}

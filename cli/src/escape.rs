/// A text with its control characters escaped, so that a terminal shows them and does not obey them; line breaks stay.
pub fn lines(text: &str) -> String {
    escape(text, |c| c.is_control() && c != '\n')
}

/// The same for a text that is to stay on one line.
pub fn line(text: &str) -> String {
    escape(text, char::is_control)
}

fn escape(text: &str, obeyed: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if obeyed(c) {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        assert_eq!(line("a\u{1b}[2Jb\r\n\u{9b}1m\u{7f}"), "a\\u{1b}[2Jb\\r\\n\\u{9b}1m\\u{7f}");
        assert_eq!(lines("a\u{7}\nb"), "a\\u{7}\nb");
        assert_eq!(lines("модель → ok \\n"), "модель → ok \\n");
    }
}

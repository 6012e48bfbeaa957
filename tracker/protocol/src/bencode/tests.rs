use super::*;

const LIMITS: Limits = Limits { bytes: 1 << 20, depth: 8, values: 100 };

fn refusal(bytes: &[u8]) -> Error {
    scan(bytes, LIMITS).expect_err("must be refused")
}

#[test]
fn entries_of_the_outer_dictionary_are_found_in_place() {
    let found = scan(b"d1:ai1e1:bd1:xl2:yyee1:c3:zzze", LIMITS).unwrap();
    assert_eq!(found.get(b"a"), Some(&b"i1e"[..]));
    assert_eq!(found.get(b"b"), Some(&b"d1:xl2:yyee"[..]));
    assert_eq!(found.get(b"c"), Some(&b"3:zzz"[..]));
    assert_eq!(found.get(b"x"), None);
    assert_eq!(found.entries().count(), 3);
}

#[test]
fn a_prefix_ends_where_its_dictionary_ends() {
    let (found, end) = scan_prefix(b"d5:piecei0eeRAW", LIMITS).unwrap();
    assert_eq!((found.get(b"piece"), end), (Some(&b"i0e"[..]), 12));
}

#[test]
fn numbers_have_one_form() {
    for bytes in
        [&b"d1:ai007ee"[..], b"d1:ai-0ee", b"d1:aiee", b"d1:ai-ee", b"d01:ai1ee", b"d1:ai99999999999999999999ee"]
    {
        assert!(matches!(refusal(bytes), Error::Number { .. }), "{bytes:?}");
    }
    assert!(scan(b"d1:ai-9223372036854775807ee", LIMITS).is_ok());
}

#[test]
fn keys_are_sorted_and_unique() {
    assert_eq!(refusal(b"d1:bi1e1:ai1ee"), Error::KeyOrder { at: 7 });
    assert_eq!(refusal(b"d1:ai1e1:ai1ee"), Error::KeyOrder { at: 7 });
}

#[test]
fn keys_are_strings_and_have_values() {
    assert_eq!(refusal(b"di1ei1ee"), Error::Unexpected { at: 1, found: b'i' });
    assert_eq!(refusal(b"d1:ae"), Error::Unexpected { at: 4, found: b'e' });
}

#[test]
fn nothing_may_follow_or_be_missing() {
    assert_eq!(refusal(b"dee"), Error::Trailing { at: 2 });
    assert_eq!(refusal(b"d1:a5:abe"), Error::Truncated { at: 9 });
    assert_eq!(refusal(b""), Error::Truncated { at: 0 });
    assert_eq!(refusal(b"i1e"), Error::NotDictionary);
    let whole = b"d1:ai1e1:bl2:yyee";
    for cut in 0..whole.len() {
        assert!(scan(&whole[..cut], LIMITS).is_err(), "{cut}");
    }
}

#[test]
fn twenty_thousand_nested_lists_are_refused() {
    let bytes = [b"d1:a".to_vec(), vec![b'l'; 20_000]].concat();
    assert_eq!(refusal(&bytes), Error::TooDeep { at: 11, limit: 8 });
}

#[test]
fn size_and_count_are_limited() {
    let limits = Limits { bytes: 10, ..LIMITS };
    assert!(matches!(scan(b"d1:a5:abcdee", limits), Err(Error::TooLong { found: 12, limit: 10 })));
    let limits = Limits { values: 2, ..LIMITS };
    assert!(matches!(scan(b"d1:ai1ee", limits), Err(Error::TooMany { limit: 2 })));
}

use super::*;

const GOOD: &str = "info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=6881&left=3";

fn with(more: &str) -> AnnounceRequest {
    parse(format!("{GOOD}&{more}").as_bytes()).unwrap()
}

fn refusal(from: &str, to: &str) -> RequestError {
    parse(GOOD.replace(from, to).as_bytes()).unwrap_err()
}

#[test]
fn queries_as_clients_write_them_are_read() {
    let libtorrent = "info_hash=%124Vx%9a%bc%de%f1%23Eg%89%ab%cd%ef%124Vx%9a&peer_id=-qB4630-k8Zb~(x1Y_0-&port=6881\
        &uploaded=1&downloaded=2&left=3&corrupt=0&key=ABCDEF12&event=started&numwant=200&compact=1&no_peer_id=1\
        &supportcrypto=1&redundant=0";
    let aria2 = "info_hash=%12%34%56%78%9A%BC%DE%F1%23%45%67%89%AB%CD%EF%12%34%56%78%9A&peer_id=A2-1-36-0-%01%02%03%04\
        %05%06%07%08%09%0A&uploaded=1&downloaded=2&left=3&compact=1&key=%FF%00&numwant=50&no_peer_id=1&port=6881\
        &event=started&supportcrypto=1";
    let transmission = "info_hash=%12%34Vx%9A%BC%DE%F1%23Eg%89%AB%CD%EF%12%34Vx%9A&peer_id=-TR3000-abcdefghijkl\
        &port=6881&uploaded=1&downloaded=2&left=3&numwant=80&key=5a3f0c2e&compact=1&supportcrypto=1&event=started\
        &requirecrypto=1&ipv6=%5B2001%3Adb8%3A%3A1%5D%3A51413";
    for (query, num_want, key) in
        [(libtorrent, 200, Some(0xabcd_ef12)), (aria2, 50, None), (transmission, 80, Some(0x5a3f_0c2e))]
    {
        let read = parse(query.as_bytes()).unwrap();
        assert_eq!(read.info_hash.to_string(), "123456789abcdef123456789abcdef123456789a");
        assert_eq!((read.port, read.uploaded, read.downloaded, read.left), (6881, 1, 2, 3));
        assert_eq!((read.event, read.num_want, read.key, read.compact), (Event::Started, Some(num_want), key, true));
    }
}

#[test]
fn hexadecimal_of_either_case_and_raw_bytes_mean_the_same() {
    for form in [&b"%C3%BF%2b-._~%41"[..], b"%c3%bf%2B%2D%2e%5F%7EA", b"\xc3\xbf%2b-._~A", b"%C3\xbf%2B-._%7eA"] {
        let query = [b"port=1&left=1&peer_id=abcdefghijkl", form, b"&info_hash=", form, b"abcdefghijkl"].concat();
        let read = parse(&query).unwrap();
        assert_eq!(read.peer_id.as_bytes(), b"abcdefghijkl\xc3\xbf+-._~A");
        assert_eq!(read.info_hash.as_bytes(), b"\xc3\xbf+-._~Aabcdefghijkl");
    }
}

#[test]
fn a_plus_is_a_space_and_an_encoded_plus_is_none() {
    let read = parse(GOOD.replace("aaaaaaaa", "+%2B%20").replace("bbb", "b+b").as_bytes());
    assert_eq!(read, Err(RequestError::Length { key: "info_hash", found: 10 }));
    let read = parse(GOOD.replace("aaaaaaaaaaaaaaaaaaaa", "+%2B%20aaaaaaaaaaaaaaaaa").as_bytes()).unwrap();
    assert_eq!(read.info_hash.as_bytes(), b" + aaaaaaaaaaaaaaaaa");
}

#[test]
fn a_percent_sign_that_digits_do_not_follow_stands_for_itself() {
    for (form, meaning) in [("aa%", b"aa%"), ("a%4", b"a%4"), ("%zz", b"%zz"), ("%4g", b"%4g"), ("%%41%41", b"%AA")] {
        let query = GOOD.replace("bbbbbbbbbbbbbbbbbbbb", &format!("bbbbbbbbbbbbbbbbb{form}"));
        assert_eq!(parse(query.as_bytes()).unwrap().peer_id.as_bytes()[17..], *meaning, "{form}");
    }
}

#[test]
fn the_first_of_a_repeated_key_counts_even_when_it_is_empty() {
    assert_eq!(with("port=1&left=9&numwant=5&num_want=6&numwant=7").num_want, Some(5));
    assert_eq!(with("numwant=&numwant=7&key=&key=5"), with(""));
    assert_eq!(with("port=1").port, 6881);
}

#[test]
fn unknown_keys_and_missing_and_extra_separators_are_passed_over() {
    for more in [
        "",
        "&&",
        "trackerid=x",
        "trackerid",
        "=",
        "=x",
        "==",
        "port",
        "Port=1",
        "infohash=x",
        "&=&=&",
        "no%5Fpeer_id=1",
    ] {
        assert_eq!(with(more), with(""), "{more}");
    }
    assert_eq!(parse(format!("&&=&{GOOD}&").as_bytes()), Ok(with("")));
    assert_eq!(refusal("&peer_id", "peer_id"), RequestError::Length { key: "info_hash", found: 48 });
}

#[test]
fn every_number_is_as_large_as_it_may_be_and_no_larger() {
    assert_eq!(with("uploaded=18446744073709551615").uploaded, u64::MAX);
    assert_eq!(with("downloaded=0000000000000000000000000007").downloaded, 7);
    assert_eq!(with("uploaded=%31%30").uploaded, 10);
    assert_eq!(with("numwant=4294967295&key=fFfFfFfF").num_want, Some(u32::MAX));
    assert_eq!(with("key=fFfFfFfF").key, Some(u32::MAX));
    assert_eq!(with("numwant=4294967296&key=100000000"), with(""));
    for port in ["65536", "", "-1", "+1", "0x1", "1.5", "99999999999999999999999", "1%", "%zz", "1 "] {
        let expected = RequestError::Number { key: "port", max: 65535 };
        assert_eq!(refusal("port=6881", &format!("port={port}")), expected, "{port}");
    }
    for left in ["18446744073709551616", "99999999999999999999999", "-1", "", "\u{1f}", "9999999999999999g", "f"] {
        let expected = RequestError::Number { key: "left", max: u64::MAX };
        assert_eq!(refusal("left=3", &format!("left={left}")), expected, "{left}");
    }
}

#[test]
fn what_a_client_need_not_say_is_passed_over_when_it_cannot_be_read() {
    for more in ["numwant=-1", "numwant=", "numwant=many", "event=", "event", "event=exploded", "event=Started", "key="]
    {
        assert_eq!(with(more), with(""), "{more}");
    }
    for more in ["ip=", "ip=localhost", "ip=1.2.3", "ip=1.2.3.4:5", "ip=[::1]", "ip=%ff%fe", "key=xyz", "compact="] {
        assert_eq!(with(more), with(""), "{more}");
    }
    assert_eq!(with(&format!("ip={}", "1".repeat(1000))), with(""));
    assert_eq!(with("event=%73topped").event, Event::Stopped);
    assert_eq!(with("ip=%32001%3adb8%3A:1").ip, Some("2001:db8::1".parse().unwrap()));
    assert!(!with("compact=%30").compact && with("compact=00").compact && with("no_peer_id=1").no_peer_id);
}

#[test]
fn the_address_of_either_family_is_read_with_and_without_a_port() {
    let v6 = |value: &str| with(&format!("ipv6={value}")).ipv6.map(|addr| addr.to_string());
    for value in ["2001:db8::1", "2001%3adb8%3A%3a1", "[2001:db8::1]:6881", "%5B2001:db8::1%5d%3A6881"] {
        assert_eq!(v6(value).as_deref(), Some("[2001:db8::1]:6881"), "{value}");
    }
    assert_eq!(v6("[2001:db8::1]:0").as_deref(), Some("[2001:db8::1]:0"));
    assert_eq!(v6("[fe80::1%259]:5").as_deref(), Some("[fe80::1]:5"), "a zone means nothing to others");
    for value in ["", "[2001:db8::1]", "[2001:db8::1]:65536", "[2001:db8::1]:", "1.2.3.4", "1.2.3.4:5", "::g", "%5B"] {
        assert_eq!(v6(value), None, "{value}");
    }
    let v4 = |value: &str| with(&format!("ipv4={value}")).ipv4.map(|addr| addr.to_string());
    assert_eq!(v4("1.2.3.4").as_deref(), Some("1.2.3.4:6881"));
    assert_eq!(v4("1.2.3.4%3a5").as_deref(), Some("1.2.3.4:5"));
    for value in ["", "1.2.3", "01.2.3.4", "1.2.3.4:", "::1", "[::1]:5", "1.2.3.4:99999"] {
        assert_eq!(v4(value), None, "{value}");
    }
}

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn price(text: &str) -> Price {
    Price::new(text.parse().unwrap()).unwrap()
}

fn equity(symbol: &str) -> AssetId {
    Asset::id_of(AssetClass::UsEquity, symbol)
}

/// All that a symbol plays, as `time price` texts.
fn played(tape: &Tape, asset: AssetId) -> Vec<String> {
    let points = &tape.series(asset).unwrap().points;
    points
        .iter()
        .map(|point| format!("{} {}", point.at.format("%Y-%m-%dT%H:%M:%S"), point.last))
        .collect()
}

fn error(text: &str) -> String {
    Tape::parse(text).unwrap_err().to_string()
}

#[test]
fn a_daily_bar_plays_open_nearer_extreme_farther_extreme_and_close_within_its_session() {
    // In July New York is four hours behind UTC, in November five; the day after Thanksgiving ends at 13:00.
    let tape = Tape::parse(
        "symbol,date,open,high,low,close,volume\n\
         AAPL,2012-07-02,100,104,97,103,1000\n\
         AAPL,2012-11-23,100,101,90,95,1000\n",
    )
    .unwrap();
    assert_eq!(
        played(&tape, equity("AAPL")),
        [
            "2012-07-02T13:30:00 100",
            "2012-07-02T15:40:00 97",
            "2012-07-02T17:50:00 104",
            "2012-07-02T19:59:59 103",
            "2012-11-23T14:30:00 100",
            "2012-11-23T15:40:00 101",
            "2012-11-23T16:50:00 90",
            "2012-11-23T17:59:59 95",
        ]
    );
}

#[test]
fn the_low_comes_first_when_both_extremes_are_equally_far() {
    let bar = bars::Bar {
        open: price("100"),
        high: price("110"),
        low: price("90"),
        close: price("105"),
    };
    let path = bars::path(bar, at("2012-07-02T13:30:00Z"), at("2012-07-02T13:31:00Z"));
    let played = path.map(|point| (point.at.format("%M:%S").to_string(), point.last.to_string()));
    let expected = [
        ("30:00", "100"),
        ("30:20", "90"),
        ("30:40", "110"),
        ("30:59", "105"),
    ];
    assert_eq!(
        played,
        expected.map(|(time, price)| (time.to_owned(), price.to_owned()))
    );
}

#[test]
fn bars_with_a_time_fill_the_span_until_the_next_one() {
    let tape = Tape::parse(
        "symbol,date,time,open,high,low,close,volume\n\
         IBM,2012-07-02,09:30,10,10,10,10,0\n\
         IBM,2012-07-02,10:00:00,11,12,11,12,0\n\
         IBM,2012-07-02,15:50,13,13,13,13,0\n\
         BTC/USD,2012-07-01,23:00,5,5,4,5,0\n",
    )
    .unwrap();
    let ibm = played(&tape, equity("IBM"));
    assert_eq!(
        [&ibm[..1], &ibm[3..8]].concat(),
        [
            "2012-07-02T13:30:00 10",
            "2012-07-02T13:59:59 10",
            "2012-07-02T14:00:00 11",
            "2012-07-02T15:56:40 11",
            "2012-07-02T17:53:20 12",
            "2012-07-02T19:49:59 12",
        ]
    );
    assert_eq!(
        ibm.last().unwrap(),
        "2012-07-02T19:59:59 13",
        "the last bar ends with the session"
    );
    let pair = played(&tape, Asset::id_of(AssetClass::Crypto, "BTC/USD"));
    assert_eq!(
        pair.first().unwrap(),
        "2012-07-01T23:00:00 5",
        "pairs trade on Sundays, in UTC"
    );
    assert_eq!(pair.last().unwrap(), "2012-07-01T23:59:59 5");
}

#[test]
fn quotes_are_read_as_they_were_and_in_any_order_of_lines_and_columns() {
    let tape = Tape::parse(
        "at, Symbol, last, bid, bid_size, ask, ask_size, note\n\
         2012-07-02T14:00:01Z, msft, 30.5601, 30.55, 300, 30.57, 0.5, second\n\
         2012-07-02T10:00:00-04:00, msft, 30.56, 30.55, 300, 30.56, 200, first\n",
    )
    .unwrap();
    let series = tape.series(equity("MSFT")).unwrap();
    assert_eq!(series.points[0].at, at("2012-07-02T14:00:00Z"));
    assert_eq!(series.points[1].last, price("30.5601"), "prices are exact");
    let sides = series.points[1].sides.unwrap();
    assert_eq!((sides.bid, sides.ask), (price("30.55"), price("30.57")));
    assert_eq!(sides.ask_size.get(), "0.5".parse().unwrap());
    assert_eq!(tape.rows().len(), 2);
}

#[test]
fn errors_in_bars_name_line_and_column() {
    const FIRST: &str = "symbol,date,open,high,low,close,volume\nIBM,2012-07-02,10,11,9,10,0\n";
    for (line, expected) in [
        (
            "IBM,2012-07-03,10,11x,9,10,0",
            "column 4 (high): \"11x\" is no plain decimal number",
        ),
        (
            "IBM,2012-07-03,1e1,11,9,10,0",
            "column 3 (open): \"1e1\" is no plain decimal number",
        ),
        (
            "IBM,2012-07-03,-10,11,9,10,0",
            "column 3 (open): \"-10\" must be > 0",
        ),
        ("IBM,2012-07-03,10,11,9,,0", "column 6 (close): \"\" is empty"),
        (
            "IBM,2012-07-03,10,9.5,9,10,0",
            "column 4 (high): \"9.5\" is below another price of its bar",
        ),
        (
            "IBM,2012-07-03,10,11,9.5,9,0",
            "column 5 (low): \"9.5\" is above another price of its bar",
        ),
        (
            "IBM,2012-07-03,10,11,9,10,-1",
            "column 7 (volume): \"-1\" must not be negative",
        ),
        (
            "IBM,03.07.2012,10,11,9,10,0",
            "column 2 (date): \"03.07.2012\" is no date like 2008-09-29",
        ),
        (
            "IBM,2012-07-04,10,11,9,10,0",
            "column 2 (date): \"2012-07-04\" is no trading day",
        ),
        (
            "IBM,2012-07-02,10,11,9,10,0",
            "column 2 (date): \"2012-07-02\" begins a second bar of the same symbol at the same time",
        ),
        (",2012-07-02,10,11,9,10,0", "column 1 (symbol): \"\" is empty"),
    ] {
        assert_eq!(error(&format!("{FIRST}{line}\n")), format!("line 3, {expected}"));
    }
}

#[test]
fn errors_in_times_name_line_and_column() {
    const HEADER: &str = "symbol,date,time,open,high,low,close,volume\n";
    for (time, expected) in [
        ("half past", "\"half past\" is no time like 09:30 or 09:30:00"),
        ("16:00", "\"16:00\" is outside the regular session"),
        ("09:29:59", "\"09:29:59\" is outside the regular session"),
    ] {
        let text = format!("{HEADER}IBM,2012-07-02,{time},1,1,1,1,0\n");
        assert_eq!(error(&text), format!("line 2, column 3 (time): {expected}"));
    }
}

#[test]
fn errors_in_quotes_name_line_and_column() {
    const HEADER: &str = "symbol,at,bid,bid_size,ask,ask_size,last\n";
    for (line, expected) in [
        (
            "IBM,yesterday,1,1,1,1,1",
            "column 2 (at): \"yesterday\" is no instant like 2008-09-29T14:30:00Z",
        ),
        (
            "IBM,2012-07-01T15:00:00Z,1,1,1,1,1",
            "column 2 (at): \"2012-07-01T15:00:00Z\" is outside the regular session",
        ),
        (
            "IBM,2012-07-02T15:00:00Z,1,0,1,1,1",
            "column 4 (bid_size): \"0\" must be > 0",
        ),
        (
            "IBM,2012-07-02T15:00:00Z,1.0000000001,1,1,1,1",
            "column 3 (bid): \"1.0000000001\" must have at most 9 decimal places",
        ),
    ] {
        assert_eq!(error(&format!("{HEADER}{line}\n")), format!("line 2, {expected}"));
    }
    assert_eq!(error(HEADER), "the recording has no rows");
}

#[test]
fn a_header_that_is_neither_says_what_is_missing() {
    assert!(error("symbol,date,open,high,low,close\n").starts_with("line 1: the column volume is missing;"));
    assert!(error("symbol,at,bid,ask,last\n").starts_with("line 1: the column bid_size is missing;"));
    assert!(error("").starts_with("line 1: the column symbol is missing;"));
}

#[test]
fn a_line_with_too_few_cells_names_itself() {
    use std::error::Error as _;

    let short = Tape::parse("symbol,date,open,high,low,close,volume\nIBM,2012-07-02,10\n").unwrap_err();
    assert!(
        short.source().unwrap().to_string().contains("line: 2"),
        "{:?}",
        short.source()
    );
}

#[test]
fn a_missing_file_is_named() {
    let missing = Tape::open(Path::new("/nowhere/tape.csv")).unwrap_err();
    assert_eq!(
        missing.to_string(),
        "the recording /nowhere/tape.csv cannot be read"
    );
}

#[test]
fn the_recording_that_ships_is_read_and_the_catalogue_covers_it() {
    let tape = Tape::shipped().unwrap();
    assert_eq!(tape.rows().len(), 502 * 4, "502 sessions, four rows each");
    assert_eq!(tape.dates(AssetClass::UsEquity).len(), 502);
    let mut covered: Vec<_> = crate::catalog::assets()
        .into_iter()
        .filter(|asset| tape.series(asset.id).is_some())
        .map(|asset| asset.symbol)
        .collect();
    covered.sort();
    assert_eq!(covered, ["AAPL", "GOOG", "IBM", "MSFT"]);
    assert_eq!(covered.len(), tape.series.len());
    assert!(SHIPPED_CSV.len() < 200_000);
}

#[test]
fn a_row_is_found_by_its_date() {
    let tape = Tape::shipped().unwrap();
    let row = tape.row_of("2008-09-29".parse().unwrap());
    assert_eq!(tape.rows()[row], at("2008-09-29T13:30:00Z"));
    assert_eq!(row % 4, 0, "a session begins with the open");
    let sunday = tape.row_of("2008-09-28".parse().unwrap());
    assert_eq!(sunday, row, "a date without a row leads to the next one");
    assert_eq!(tape.row_of("2030-01-01".parse().unwrap()), tape.last_row());
    let series = tape.series(equity("AAPL")).unwrap();
    let prices = (row..row + 4).map(|row| series.at(tape.rows()[row]).unwrap().last);
    let expected = ["119.62", "119.68", "100.59", "105.26"].map(price);
    assert_eq!(prices.collect::<Vec<_>>(), expected);
}

use chrono::TimeDelta;
use platform::{Clock as _, ManualClock};

use super::*;
use crate::catalog;

/// A Tuesday. Its session lasts from 14:30 to 21:00 UTC, and so does that of the following day; Thanksgiving is closed;
/// Friday's ends at 18:00.
const MORNING: &str = "2026-11-24T14:30:00Z";

const BARS: &str = "symbol,date,open,high,low,close,volume\n\
    AAPL,2012-01-03,100,104,97,103,1\n\
    AAPL,2012-01-04,110,114,107,113,1\n\
    AAPL,2012-01-05,120,124,117,123,1\n\
    AAPL,2012-01-06,130,134,127,133,1\n";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn options() -> ReplayOptions {
    let size = Quantity::new(Decimal::from(500)).unwrap();
    ReplayOptions::new(at(MORNING), size)
}

fn play(csv: &str, options: ReplayOptions) -> (Replay, ManualClock) {
    let clock = ManualClock::new(at(MORNING));
    (
        Replay::new(Tape::parse(csv).unwrap(), clock.shared(), options),
        clock,
    )
}

async fn quote(replay: &Replay, symbol: &str) -> Option<Quote> {
    replay
        .quotes(&[catalog::asset(symbol).unwrap()])
        .await
        .unwrap()
        .pop()
}

/// The last trade, the range, and the time of day, `HH:MM:SS`, of AAPL's quote at `time`.
async fn seen(replay: &Replay, clock: &ManualClock, time: &str) -> String {
    clock.set(at(time));
    let Some(Quote {
        last, low, high, at, ..
    }) = quote(replay, "AAPL").await
    else {
        return "nothing".to_owned();
    };
    format!("{last} ({low}-{high}) {}", at.format("%d %H:%M:%S"))
}

#[tokio::test]
async fn at_speed_one_each_recorded_session_plays_on_a_real_one() {
    let (replay, clock) = play(BARS, options());
    for (time, expected) in [
        ("2026-11-24T14:29:59Z", "nothing"),
        ("2026-11-24T14:30:00Z", "100 (100-100) 24 14:30:00"),
        ("2026-11-24T16:39:59.5Z", "100 (100-100) 24 16:39:59"),
        ("2026-11-24T16:40:00Z", "97 (97-97) 24 16:40:00"),
        ("2026-11-24T18:50:00Z", "104 (104-104) 24 18:50:00"),
        ("2026-11-24T20:59:58Z", "104 (104-104) 24 20:59:58"),
        ("2026-11-24T20:59:59Z", "103 (103-103) 24 20:59:59"),
        ("2026-11-24T21:00:00Z", "103 (103-103) 24 21:00:00"),
        ("2026-11-25T03:00:00Z", "103 (103-103) 24 21:00:00"),
        ("2026-11-25T14:30:00Z", "110 (110-110) 25 14:30:00"),
        ("2026-11-26T15:00:00Z", "113 (113-113) 25 21:00:00"),
        ("2026-11-27T14:30:00Z", "120 (120-120) 27 14:30:00"),
    ] {
        assert_eq!(seen(&replay, &clock, time).await, expected, "at {time}");
    }
}

#[tokio::test]
async fn a_long_recorded_session_fits_a_short_real_one() {
    let (replay, clock) = play(BARS, options());
    // 3.5 hours for 6.5: a third is over after 70 minutes.
    for (time, expected) in [
        ("2026-11-27T15:39:59Z", "120 (120-120) 27 15:39:59"),
        ("2026-11-27T15:40:00Z", "117 (117-117) 27 15:40:00"),
        ("2026-11-27T17:59:59Z", "123 (123-123) 27 17:59:59"),
        ("2026-11-28T12:00:00Z", "123 (123-123) 27 18:00:00"),
    ] {
        assert_eq!(seen(&replay, &clock, time).await, expected, "at {time}");
    }
}

#[tokio::test]
async fn after_its_end_the_tape_stands_still_and_its_quotes_age() {
    let (replay, clock) = play(BARS, options());
    let end = "133 (133-133) 30 21:00:00";
    assert_eq!(seen(&replay, &clock, "2026-11-30T21:00:00Z").await, end);
    assert_eq!(seen(&replay, &clock, "2026-12-01T16:00:00Z").await, end);
    assert_eq!(seen(&replay, &clock, "2027-03-01T16:00:00Z").await, end);
}

#[tokio::test]
async fn the_session_of_the_start_row_plays_at_the_anchor_wherever_the_anchor_lies() {
    // Rows 4 to 7 are the second session.
    let second = |anchor: &str| ReplayOptions {
        start_row: 6,
        anchor: at(anchor),
        ..options()
    };
    for anchor in [MORNING, "2026-11-24T20:00:00Z", "2026-11-25T10:00:00Z"] {
        let (replay, clock) = play(BARS, second(anchor));
        assert_eq!(
            seen(&replay, &clock, "2026-11-24T14:30:00Z").await,
            "110 (110-110) 24 14:30:00"
        );
        assert_eq!(
            seen(&replay, &clock, "2026-11-25T14:30:00Z").await,
            "120 (120-120) 25 14:30:00"
        );
        assert_eq!(
            seen(&replay, &clock, "2026-11-23T14:30:00Z").await,
            "100 (100-100) 23 14:30:00"
        );
    }
    let (replay, clock) = play(BARS, second("2026-11-28T12:00:00Z"));
    let saturday = seen(&replay, &clock, "2026-11-28T12:00:00Z").await;
    assert_eq!(
        saturday, "113 (113-113) 27 18:00:00",
        "at a weekend there are closing quotes at once"
    );
}

#[tokio::test]
async fn at_a_higher_speed_several_sessions_play_in_one_and_no_extreme_is_lost() {
    let (replay, clock) = play(
        BARS,
        ReplayOptions {
            speed: 2,
            ..options()
        },
    );
    // Each recorded session takes 3 h 15 min.
    for (time, expected) in [
        ("2026-11-24T14:30:00Z", "100 (100-100) 24 14:30:00"),
        ("2026-11-24T15:35:00Z", "97 (97-97) 24 15:35:00"),
        ("2026-11-24T17:44:59Z", "103 (103-103) 24 17:44:59"),
        ("2026-11-24T17:45:00Z", "110 (110-110) 24 17:45:00"),
        ("2026-11-24T20:59:59Z", "113 (113-113) 24 20:59:59"),
        ("2026-11-24T22:00:00Z", "113 (113-113) 24 21:00:00"),
        ("2026-11-25T14:30:00Z", "120 (120-120) 25 14:30:00"),
        ("2026-11-27T14:30:00Z", "133 (133-133) 25 21:00:00"),
    ] {
        assert_eq!(seen(&replay, &clock, time).await, expected, "at {time}");
    }

    // 23 400 sessions in one: each plays within one second, with its whole range.
    let (replay, clock) = play(
        BARS,
        ReplayOptions {
            speed: 23_400,
            ..options()
        },
    );
    for (time, expected) in [
        ("2026-11-24T14:30:00Z", "103 (97-104) 24 14:30:00"),
        ("2026-11-24T14:30:01Z", "113 (107-114) 24 14:30:01"),
        ("2026-11-24T14:30:03Z", "133 (127-134) 24 14:30:03"),
        ("2026-11-24T14:30:09Z", "133 (133-133) 24 14:30:04"),
    ] {
        assert_eq!(seen(&replay, &clock, time).await, expected, "at {time}");
    }
}

#[tokio::test]
async fn when_hours_are_ignored_a_recorded_session_fills_a_day() {
    let anchor = at("2026-11-28T09:00:00Z");
    let (replay, clock) = play(
        BARS,
        ReplayOptions {
            hours: MarketHours::Ignore,
            anchor,
            ..options()
        },
    );
    for (time, expected) in [
        ("2026-11-28T00:00:00Z", "100 (100-100) 28 00:00:00"),
        ("2026-11-28T08:00:00Z", "97 (97-97) 28 08:00:00"),
        ("2026-11-28T23:59:59Z", "103 (103-103) 28 23:59:59"),
        ("2026-11-29T00:00:00Z", "110 (110-110) 29 00:00:00"),
    ] {
        assert_eq!(seen(&replay, &clock, time).await, expected, "at {time}");
    }
}

#[tokio::test]
async fn pairs_play_on_days_of_their_own() {
    let csv = "symbol,date,open,high,low,close,volume\n\
        BTC/USD,2012-01-06,5,5,5,5,1\n\
        BTC/USD,2012-01-07,6,6,6,6,1\n";
    let anchor = at("2026-11-28T09:00:00Z");
    let (replay, clock) = play(csv, ReplayOptions { anchor, ..options() });
    clock.set(anchor);
    assert_eq!(quote(&replay, "BTC/USD").await.unwrap().last.to_string(), "5");
    clock.advance(TimeDelta::days(1));
    let sunday = quote(&replay, "BTC/USD").await.unwrap();
    assert_eq!(
        (sunday.last.to_string(), sunday.at),
        ("6".to_owned(), clock.now())
    );
}

#[tokio::test]
async fn at_speed_zero_a_test_moves_the_tape_and_quotes_stay_fresh() {
    let standing = ReplayOptions {
        speed: 0,
        start_row: 1,
        hours: MarketHours::Ignore,
        ..options()
    };
    let (replay, clock) = play(BARS, standing);
    assert_eq!(replay.position(), 1);
    assert_eq!(seen(&replay, &clock, MORNING).await, "97 (97-97) 24 14:30:00");
    assert_eq!(
        seen(&replay, &clock, "2026-11-28T03:00:00.7Z").await,
        "97 (97-97) 28 03:00:00"
    );
    replay.clone().advance(2);
    assert_eq!(seen(&replay, &clock, MORNING).await, "103 (103-103) 24 14:30:00");
    replay.seek(14);
    assert_eq!(seen(&replay, &clock, MORNING).await, "134 (134-134) 24 14:30:00");
    replay.advance(usize::MAX);
    assert_eq!(replay.position(), 15, "the tape has an end");
    assert_eq!(seen(&replay, &clock, MORNING).await, "133 (133-133) 24 14:30:00");
}

#[tokio::test]
async fn at_speed_zero_a_closed_market_shows_the_row_at_its_close() {
    let (replay, clock) = play(
        BARS,
        ReplayOptions {
            speed: 0,
            ..options()
        },
    );
    assert_eq!(
        seen(&replay, &clock, "2026-11-24T15:00:00Z").await,
        "100 (100-100) 24 15:00:00"
    );
    assert_eq!(
        seen(&replay, &clock, "2026-11-24T23:00:00Z").await,
        "100 (100-100) 24 21:00:00"
    );
}

#[tokio::test]
async fn a_file_moves_the_tape_from_outside() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("row");
    let write = |text: &str| std::fs::write(&file, text).unwrap();
    let standing = ReplayOptions {
        speed: 0,
        row_file: Some(file.clone()),
        ..options()
    };
    let (replay, clock) = play(BARS, standing);
    let now = "2026-11-24T15:00:00Z";
    assert_eq!(
        seen(&replay, &clock, now).await,
        "100 (100-100) 24 15:00:00",
        "without the file"
    );
    write("2\n");
    assert_eq!(seen(&replay, &clock, now).await, "104 (104-104) 24 15:00:00");
    write("2012-01-05");
    assert_eq!(seen(&replay, &clock, now).await, "120 (120-120) 24 15:00:00");
    write("");
    assert_eq!(
        seen(&replay, &clock, now).await,
        "120 (120-120) 24 15:00:00",
        "caught in the middle of a write"
    );
    write("3 2026-11-24T14:45:00Z");
    assert_eq!(
        seen(&replay, &clock, now).await,
        "103 (103-103) 24 14:45:00",
        "with an old time"
    );
    write("999");
    assert_eq!(
        seen(&replay, &clock, now).await,
        "133 (133-133) 24 15:00:00",
        "the tape has an end"
    );

    write("somewhere");
    let refused = replay
        .quotes(&[catalog::asset("AAPL").unwrap()])
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("says \"somewhere\"") && refused.contains("row"),
        "{refused}"
    );
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let refused = replay
        .quotes(&[catalog::asset("AAPL").unwrap()])
        .await
        .unwrap_err();
    assert!(
        matches!(refused, MarketError::RowFileUnreadable { .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn the_spread_of_bars_comes_from_the_options_and_lands_on_the_grid() {
    for (spread, bid, ask) in [
        ("0", "104", "104"),
        ("2", "103.98", "104.02"),
        ("10", "103.94", "104.06"),
    ] {
        let spread_bps = spread.parse().unwrap();
        let (replay, _) = play(
            BARS,
            ReplayOptions {
                speed: 0,
                start_row: 2,
                spread_bps,
                ..options()
            },
        );
        let quote = quote(&replay, "AAPL").await.unwrap();
        assert_eq!(
            (quote.bid.to_string(), quote.ask.to_string()),
            (bid.to_owned(), ask.to_owned())
        );
        assert_eq!(
            (quote.bid_size, quote.ask_size),
            (options().quoted_size, options().quoted_size)
        );
    }
}

#[tokio::test]
async fn recorded_quotes_are_given_as_they_were() {
    let csv = "symbol,at,bid,bid_size,ask,ask_size,last\n\
        AAPL,2012-01-03T14:30:05Z,100,1,101,2,100.5\n\
        AAPL,2012-01-03T14:30:07Z,102,3,103,4,102.5\n";
    let (replay, clock) = play(csv, options());
    assert_eq!(seen(&replay, &clock, "2026-11-24T14:30:04Z").await, "nothing");
    assert_eq!(
        seen(&replay, &clock, "2026-11-24T14:30:06Z").await,
        "100.5 (100.5-100.5) 24 14:30:06"
    );
    clock.set(at("2026-11-24T14:30:07Z"));
    let quote = quote(&replay, "AAPL").await.unwrap();
    let text = |value: Decimal| value.to_string();
    assert_eq!(
        (text(quote.bid.get()), text(quote.bid_size.get())),
        ("102".into(), "3".into())
    );
    assert_eq!(
        (text(quote.ask.get()), text(quote.ask_size.get())),
        ("103".into(), "4".into())
    );
}

#[tokio::test]
async fn symbols_that_were_not_recorded_are_absent() {
    let (replay, _) = play(BARS, options());
    assert!(quote(&replay, "IBM").await.is_none());
    assert!(quote(&replay, "BTC/USD").await.is_none());
}

#[tokio::test]
async fn two_processes_with_one_anchor_play_the_same() {
    let shipped = || {
        Replay::new(
            Tape::shipped().unwrap(),
            ManualClock::new(at(MORNING)).shared(),
            options(),
        )
    };
    let assets = catalog::assets();
    let first = shipped().quotes(&assets).await.unwrap();
    assert_eq!(first.len(), 4);
    assert_eq!(shipped().quotes(&assets).await.unwrap(), first);
}

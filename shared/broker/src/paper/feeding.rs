//! Quotes and time come to the book, from many callers at once.
//!
//! 1. A quote that this process has seen in the book costs no statement, one that another process has brought costs a
//!    read without a lock.
//! 2. Resting orders meet a quote page by page, the best first, and no page is read that the quote's size cannot fill.
//!    Each page is a transaction; the quote counts as met only with the last one, so that a venue that dies in between goes
//!    on when it is fed again, and no newcomer overtakes those who wait.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::id::{AssetId, ConnectionId};
use domain::quote::Quote;
use tokio::time::Instant;

use super::connect::BODY_TIMEOUT;
use super::error::{BookError, NAME};
use super::house::House;
use super::work::Feed;
use super::{book, desk};
use crate::BrokerError;

/// Instruments that one transaction locks at most.
const FEED_BATCH: usize = 64;

/// Instruments that one call looks at at most because time has come for one of their orders.
const DUE_MAX: i64 = 512;

/// Quotes that may be news, from one caller.
#[derive(Debug)]
pub(super) struct Offer {
    /// The newest of each instrument.
    quotes: BTreeMap<AssetId, Quote>,
    /// Whether the caller asks that time pass.
    is_for_time: bool,
}

impl Offer {
    /// What of `quotes` the book has to hear; `None` where it has heard it all.
    pub(super) fn of(quotes: &[Quote], house: &House) -> Option<Self> {
        let mut offer = Self {
            quotes: BTreeMap::new(),
            is_for_time: quotes.is_empty(),
        };
        for quote in quotes {
            offer.add(quote.clone());
        }
        offer.quotes.retain(|_, quote| house.may_be_news(quote));
        let is_needed = offer.is_for_time || !offer.quotes.is_empty() || house.is_time();
        is_needed.then_some(offer)
    }

    fn add(&mut self, quote: Quote) {
        match self.quotes.get_mut(&quote.asset_id) {
            Some(known) if known.at >= quote.at => {}
            Some(known) => *known = quote,
            None => drop(self.quotes.insert(quote.asset_id, quote)),
        }
    }
}

/// What one caller is told: the connections with new reports.
pub(super) type Told = Result<Vec<ConnectionId>, BrokerError>;

/// Hands the quotes of all `offers` to the book. The connections with news are told to the first caller alone: once is
/// enough.
pub(super) async fn feed(house: Arc<House>, offers: Vec<Offer>) -> Vec<Told> {
    let callers = offers.len();
    let mut whole = Offer {
        quotes: BTreeMap::new(),
        is_for_time: offers.iter().any(|offer| offer.is_for_time),
    };
    for quote in offers.into_iter().flat_map(|offer| offer.quotes.into_values()) {
        whole.add(quote);
    }
    match feed_all(&house, whole).await {
        Ok(told) => {
            let mut answers = vec![Ok(Vec::new()); callers];
            if let Some(first) = answers.first_mut() {
                *first = Ok(told.into_iter().collect());
            }
            answers
        }
        Err(error) => vec![Err(error.into()); callers],
    }
}

async fn feed_all(house: &House, offer: Offer) -> Result<BTreeSet<ConnectionId>, BookError> {
    let news = news(house, offer.quotes).await?;
    let mut asset_ids: BTreeSet<AssetId> = news.keys().copied().collect();
    if offer.is_for_time || house.is_time() {
        let now = house.clock.now();
        asset_ids.extend(book::due_assets(&house.pools.reader, now, DUE_MAX).await?);
        house.time_passed(now);
    }
    let asset_ids: Vec<AssetId> = asset_ids.into_iter().collect();
    let mut told = BTreeSet::new();
    for batch in asset_ids.chunks(FEED_BATCH) {
        match feed_batch(house, batch, &news, &mut told).await {
            Ok(()) => {}
            // What is committed is committed, and its connections must hear of it; the rest comes with the next call.
            Err(error) if !told.is_empty() => {
                tracing::warn!(broker.name = NAME, error = %error, "a part of the quotes was not taken");
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(told)
}

/// Feeds some instruments, page by page, until nothing is left that their quotes and the time do.
async fn feed_batch(
    house: &House,
    asset_ids: &[AssetId],
    quotes: &BTreeMap<AssetId, Quote>,
    told: &mut BTreeSet<ConnectionId>,
) -> Result<(), BookError> {
    let feed = Feed {
        house,
        asset_ids,
        quotes,
    };
    loop {
        let page = house
            .pools
            .transaction(&feed, Instant::now() + BODY_TIMEOUT)
            .await?;
        told.extend(page.told);
        house.saw(page.assets);
        if page.is_done {
            return Ok(());
        }
    }
}

/// Those of `quotes` that tell the book something.
async fn news(
    house: &House,
    mut quotes: BTreeMap<AssetId, Quote>,
) -> Result<BTreeMap<AssetId, Quote>, BookError> {
    // What came while the last batch was in flight was often in that batch, too.
    quotes.retain(|_, quote| house.may_be_news(quote));
    if quotes.is_empty() {
        return Ok(quotes);
    }
    let asset_ids: Vec<AssetId> = quotes.keys().copied().collect();
    let rows = book::assets(&house.pools.reader, &asset_ids).await?;
    let now = house.clock.now();
    let news: BTreeSet<AssetId> = rows
        .iter()
        .filter(|row| {
            let quote = quotes.get(&row.asset_id);
            quote.is_some_and(|quote| desk::is_news(row, quote, &house.rules, now))
        })
        .map(|row| row.asset_id)
        .collect();
    house.saw(rows);
    quotes.retain(|id, _| news.contains(id));
    Ok(quotes)
}

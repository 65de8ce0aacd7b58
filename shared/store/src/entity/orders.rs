//! Table `orders`.

use sea_orm::entity::prelude::*;

use crate::money::{Money, Rate};

/// An accepted order: its terms, its book-keeping and the facts of its life.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "orders")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Whose it is.
    pub user_id: Uuid,
    /// The account it belongs to.
    pub account_id: Uuid,
    /// Shares one reservation with the orders of the same group.
    pub group_id: Uuid,
    /// The caller's name for it; unique within the account for ever.
    pub client_order_id: String,
    /// The instrument.
    pub asset_id: Uuid,
    /// The instrument's symbol, as shown.
    pub symbol: String,
    /// The instrument's class.
    pub asset_class: String,
    /// `buy` or `sell`.
    pub side: String,
    /// `market` or `limit`.
    pub kind: String,
    /// How many units; none for a notional order.
    pub quantity: Option<Money>,
    /// How much money, in quote currency; none for an order of units.
    pub notional: Option<Money>,
    /// The worst acceptable price, in quote currency.
    pub limit_price: Option<Money>,
    /// `day`, `gtc`, `ioc` or `fok`.
    pub time_in_force: String,
    /// Whether it may trade outside the regular session.
    pub extended_hours: bool,
    /// What the caller means it to do to the position.
    pub position_intent: Option<String>,
    /// What each unit of its amount reserves.
    pub reserve_rate: Rate,
    /// What each unit of its amount counts against daily limits, in quote currency.
    pub exposure_rate: Rate,
    /// The day whose limits it counted against: the date in New York.
    pub trading_date: Date,
    /// The order that this one replaces.
    pub replaces: Option<Uuid>,
    /// When it was accepted; never changes.
    pub submitted_at: DateTimeUtc,
    /// When it last changed.
    pub updated_at: DateTimeUtc,
    /// The broker's id for it, once known.
    pub broker_order_id: Option<String>,
    /// `unsent`, `sending`, `unconfirmed` or `acknowledged`.
    pub submission: String,
    /// Whether the venue's last word was that it is at work.
    pub is_working: bool,
    /// The trigger whose exit it is, until it may leave.
    pub held_by_trigger: Option<Uuid>,
    /// When its cancel was asked for, while that is undecided.
    pub cancel_requested_at: Option<DateTimeUtc>,
    /// The order that shall take, or took, its place.
    pub replaced_by: Option<Uuid>,
    /// Units filled.
    pub filled_quantity: Money,
    /// Money for the units filled, in quote currency, without fees.
    pub filled_cost: Money,
    /// When it ended.
    pub closed_at: Option<DateTimeUtc>,
    /// `filled`, `canceled`, `expired`, `rejected` or `replaced`.
    pub closed_how: Option<String>,
    /// The broker's words when it refused.
    pub reject_reason: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}

//! The venue on both databases: every body runs on SQLite and on PostgreSQL.

mod batches;
mod faults;
mod orders;
mod pages;
mod races;
mod replacing;
mod time;
mod venue;

use venue::{Venue, decimal};

/// Runs each body on both databases, in a database of its own.
macro_rules! on_both_databases {
    ($($module:ident: $($name:ident),+ $(,)?;)+) => {
        mod sqlite {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$module::$name(&mut super::Venue::on_sqlite().await).await;
                }
            )+)+
        }

        mod postgres {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let mut venue = super::Venue::on_postgres().await;
                    super::$module::$name(&mut venue).await;
                    venue.remove().await;
                }
            )+)+
        }
    };
}

on_both_databases! {
    orders:
        a_market_order_fills_at_the_quote_with_slippage_and_fee,
        a_large_order_takes_what_each_quote_offers,
        a_limit_rests_until_the_market_crosses_it,
        ioc_and_fok_do_what_they_are_named_for,
        a_notional_is_done_by_the_venues_word,
        an_order_beyond_cash_or_position_is_refused,
        what_open_orders_hold_is_not_spent_twice,
        a_price_that_runs_away_from_the_cash_ends_the_order,
        better_prices_and_earlier_orders_come_first,
        the_same_order_again_is_answered_as_before,
        a_malformed_or_foreign_order_is_refused,
        fees_differ_by_class;
    replacing:
        a_cancel_ends_what_is_open_and_nothing_else,
        an_unfilled_order_is_replaced,
        a_partly_filled_order_is_replaced_by_what_the_new_one_shall_do,
        a_filled_order_is_not_replaced,
        a_replacement_is_covered_by_what_the_old_one_held,
        the_same_replacement_again_is_answered_as_before;
    time:
        orders_out_of_session_wait_for_the_open,
        a_day_order_expires_at_the_close,
        a_day_order_expires_at_an_early_close,
        extended_hours_are_for_those_who_ask,
        a_gtc_order_ends_after_ninety_days,
        hours_can_be_ignored,
        a_stale_or_crossed_quote_fills_nothing,
        nothing_is_made_up_for_the_time_when_the_venue_was_down,
        a_quote_from_the_future_does_not_silence_the_present,
        resting_orders_survive_a_restart;
    faults:
        a_lost_commit_is_unknown_and_a_look_up_settles_it,
        a_locked_book_means_not_sent,
        a_book_that_is_gone_means_not_sent,
        a_row_that_makes_no_sense_is_said_and_not_guessed,
        what_is_no_longer_traded_can_still_end;
    races:
        one_step_is_consumed_once_by_two_processes,
        many_processes_never_overfill_and_the_journal_has_no_gaps,
        a_cancel_and_a_fill_have_one_winner,
        the_same_order_from_many_processes_is_taken_once,
        a_first_order_opens_the_account_once,
        money_and_units_are_conserved_whatever_happens;
    batches:
        a_batch_has_as_many_statements_as_one_order,
        callers_go_together_while_a_transaction_is_in_flight,
        one_order_is_refused_among_sixty_four,
        an_order_that_the_database_will_not_have_fails_alone,
        an_order_twice_in_a_batch_is_taken_once_and_answered_alike,
        an_order_of_before_is_answered_again_among_new_ones,
        a_batch_that_is_not_committed_leaves_nothing,
        an_ask_that_waited_too_long_is_not_tried,
        overlapping_batches_of_two_processes_never_wait_in_a_circle;
    pages:
        a_quote_that_was_seen_costs_no_statement,
        many_callers_with_one_quote_cost_one_transaction_and_one_is_told,
        a_quote_meets_the_best_orders_page_by_page,
        what_a_quote_cannot_fill_is_not_read,
        a_venue_that_dies_between_two_pages_goes_on_when_it_is_fed_again,
        more_orders_expire_than_fit_in_a_page,
        the_reports_of_many_connections_are_read_at_once;
}

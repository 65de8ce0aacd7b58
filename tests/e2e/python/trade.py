"""Trades through the official SDK as any of its users would; only the base URL is changed.

    python trade.py URL HEADER_FILE

Prints `ok` when everything was as the SDK's users expect it.
"""

import sys
import time
import uuid
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import AssetClass, AssetExchange, OrderSide, OrderStatus, OrderType, QueryOrderStatus, TimeInForce
from alpaca.trading.requests import (
    ClosePositionRequest,
    GetAssetsRequest,
    GetCalendarRequest,
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
)


def connect(url, header_file):
    with open(header_file, encoding="utf-8") as headers:
        key, secret = [line.split(": ")[1].strip() for line in headers]
    return TradingClient(key, secret, url_override=url), TradingClient(key, "wrong", url_override=url)


def eventually(client, order_id, *statuses):
    """The order as soon as it has one of the statuses."""
    deadline = time.monotonic() + 30
    while True:
        order = client.get_order_by_id(order_id)
        if order.status in statuses:
            return order
        assert time.monotonic() < deadline, f"{order_id} is {order.status}, not {statuses}"
        time.sleep(0.05)


def refused(call, status, code, words):
    """Checks that the SDK understands an error: its status, its integer code and its message."""
    try:
        answer = call()
    except APIError as error:
        told = (error.status_code, error.code)
        assert told == (status, code), f"{told} instead of {(status, code)}: {error.message}"
        assert words in error.message, error.message
    else:
        raise AssertionError(f"not refused: {answer}")


def market(client):
    order = client.submit_order(
        MarketOrderRequest(symbol="AAPL", qty=3, side=OrderSide.BUY, time_in_force=TimeInForce.DAY)
    )
    assert isinstance(order.id, uuid.UUID) and order.order_type == OrderType.MARKET
    filled = eventually(client, order.id, OrderStatus.FILLED)
    assert Decimal(filled.filled_qty) == 3 and Decimal(filled.filled_avg_price) > 1
    assert filled.filled_at.tzinfo is not None
    pair = client.submit_order(
        MarketOrderRequest(symbol="BTC/USD", notional=25.5, side=OrderSide.BUY, time_in_force=TimeInForce.GTC)
    )
    assert eventually(client, pair.id, OrderStatus.FILLED).notional == "25.5"
    tiny = MarketOrderRequest(symbol="BTCUSD", qty=1e-05, side=OrderSide.BUY, time_in_force=TimeInForce.GTC)
    tiny = eventually(client, client.submit_order(tiny).id, OrderStatus.FILLED)
    assert (tiny.symbol, tiny.qty) == ("BTC/USD", "0.00001"), tiny


def limit(client):
    request = LimitOrderRequest(
        symbol="MSFT",
        qty=2,
        side=OrderSide.BUY,
        time_in_force=TimeInForce.GTC,
        limit_price=100.1,
        client_order_id="resting",
    )
    order = eventually(client, client.submit_order(request).id, OrderStatus.NEW)
    assert order.limit_price == "100.1"
    assert client.get_order_by_client_id("resting").id == order.id
    assert [found.id for found in client.get_orders()] == [order.id]

    change = ReplaceOrderRequest(qty=1, limit_price=99.5, client_order_id="changed")
    changed = client.replace_order_by_id(order.id, change)
    assert changed.replaces == order.id and changed.id != order.id
    changed = eventually(client, changed.id, OrderStatus.NEW)
    assert (changed.qty, changed.limit_price) == ("1", "99.5")
    assert eventually(client, order.id, OrderStatus.REPLACED).replaced_by == changed.id
    client.cancel_order_by_id(changed.id)
    eventually(client, changed.id, OrderStatus.CANCELED)

    request.client_order_id = "one of all"
    last = eventually(client, client.submit_order(request).id, OrderStatus.NEW)
    canceled = client.cancel_orders()
    assert [(entry.id, entry.status) for entry in canceled] == [(last.id, 200)], canceled
    eventually(client, last.id, OrderStatus.CANCELED)


def lists(client):
    every = client.get_orders(GetOrdersRequest(status=QueryOrderStatus.ALL, limit=100, nested=True))
    assert len(every) == 6, every
    closed = GetOrdersRequest(status=QueryOrderStatus.CLOSED, symbols=["AAPL", "BTC/USD"], side=OrderSide.BUY, direction="asc")
    assert [order.symbol for order in client.get_orders(closed)] == ["AAPL", "BTC/USD", "BTC/USD"]
    later = GetOrdersRequest(status=QueryOrderStatus.ALL, after=datetime.now(timezone.utc) + timedelta(hours=1))
    assert client.get_orders(later) == []


def positions(client):
    held = {position.symbol: position for position in client.get_all_positions()}
    assert sorted(held) == ["AAPL", "BTC/USD"]
    assert held["AAPL"].qty == "3" and held["AAPL"].exchange == AssetExchange.NASDAQ
    assert client.get_open_position("BTC/USD").qty == held["BTC/USD"].qty
    part = client.close_position("AAPL", ClosePositionRequest(qty="1"))
    eventually(client, part.id, OrderStatus.FILLED)
    assert client.get_open_position("AAPL").qty == "2"
    closing = client.close_all_positions(cancel_orders=True)
    assert sorted(entry.symbol for entry in closing) == ["AAPL", "BTC/USD"], closing
    for entry in closing:
        assert entry.status == 200
        eventually(client, entry.body.id, OrderStatus.FILLED)
    assert client.get_all_positions() == []


def the_rest(client):
    account = client.get_account()
    assert account.status.value == "ACTIVE" and account.currency == "USD" and not account.trading_blocked
    assert Decimal(90_000) < Decimal(account.cash) < Decimal(110_000)
    pairs = client.get_all_assets(GetAssetsRequest(asset_class=AssetClass.CRYPTO))
    assert len(pairs) >= 5 and all(pair.min_order_size is not None for pair in pairs)
    assert len(client.get_all_assets()) >= 35
    apple = client.get_asset("AAPL")
    assert apple.exchange == AssetExchange.NASDAQ and client.get_asset(apple.id).symbol == "AAPL"
    clock = client.get_clock()
    assert clock.is_open and clock.next_close < clock.next_open
    days = client.get_calendar(GetCalendarRequest(start=date(2026, 11, 25), end=date(2026, 11, 30)))
    assert [(day.date, day.close.hour) for day in days] == [
        (date(2026, 11, 25), 16),
        (date(2026, 11, 27), 13),
        (date(2026, 11, 30), 16),
    ]


def errors(client, stranger):
    buy = {"side": OrderSide.BUY, "time_in_force": TimeInForce.DAY}
    nowhere = uuid.UUID("6f3c86a4-9a55-4d0c-8a3b-4f1d27c90e61")
    refused(lambda: stranger.get_account(), 401, 40110000, "request is not authorized")
    refused(lambda: client.get_order_by_id(nowhere), 404, 40410000, "order not found")
    refused(lambda: client.get_open_position("AAPL"), 404, 40410000, "position does not exist")
    refused(lambda: client.get_asset("NOPE"), 404, 40410000, "")
    refused(lambda: client.submit_order(MarketOrderRequest(symbol="AAPL", qty=-1, **buy)), 422, 40010001, "qty must be > 0")
    refused(lambda: client.submit_order(MarketOrderRequest(symbol="NOPE", qty=1, **buy)), 422, 42210000, "not found")
    taken = LimitOrderRequest(symbol="AAPL", qty=1, limit_price=10, client_order_id="resting", **buy)
    refused(lambda: client.submit_order(taken), 422, 40010001, "client_order_id must be unique")
    fine = LimitOrderRequest(symbol="AAPL", qty=1, limit_price=10.001, **buy)
    refused(lambda: client.submit_order(fine), 422, 42210000, "sub-penny increment")
    large = LimitOrderRequest(symbol="AAPL", qty=9000, limit_price=100, **buy)
    refused(lambda: client.submit_order(large), 403, 40310000, "")
    short = MarketOrderRequest(symbol="AAPL", qty=1, side=OrderSide.SELL, time_in_force=TimeInForce.DAY)
    refused(lambda: client.submit_order(short), 403, 40310000, "")
    ended = client.get_order_by_client_id("changed").id
    refused(lambda: client.cancel_order_by_id(ended), 422, 42210000, 'order is already in "canceled" state')


def main():
    client, stranger = connect(sys.argv[1], sys.argv[2])
    market(client)
    limit(client)
    lists(client)
    positions(client)
    the_rest(client)
    errors(client, stranger)
    print("ok")


if __name__ == "__main__":
    main()

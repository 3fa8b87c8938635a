"""A stock's value: any layout is understood, one is written."""

import json

import pytest

from streaming.prices.value import NotAStock, Value

SAMPLE = '{"id": 1, "price": [1000, ""], "time": ["09:00", "09:01"], "performance": 0}'


def test_the_sample_is_brought_into_the_fixed_layout():
    laid = Value.parse(SAMPLE).laid()
    assert laid.text == '{"id":1,"time":["09:00","09:01"],"price":[1000,""],"performance":0}'
    assert laid.text[laid.times_start : laid.times_end] == '"09:00","09:01"'
    assert laid.text[laid.times_end :].startswith('],"price":[')
    assert laid.text[: laid.prices_end].endswith('1000,""')


@pytest.mark.parametrize("number", ["1e3", "12.50", "-0.0", "1234567890123456789.123456789"])
def test_numbers_stay_as_they_are_written(number):
    text = (
        f'{{"id":7,"x":{{"y":[{number}]}},"time":["1"],"price":[{number}],"performance":{number}}}'
    )
    assert Value.parse(text).laid().text == text


def test_further_fields_stand_behind_the_id():
    value = Value.parse('{"name": "Zürich \\"A\\"", "time": [], "id": 3, "price": [], "on": true}')
    text = value.laid().text
    assert text.isascii()
    assert json.loads(text) == {
        "id": 3,
        "name": 'Zürich "A"',
        "on": True,
        "time": [],
        "price": [],
        "performance": 0,
    }
    assert list(json.loads(text)) == ["id", "name", "on", "time", "price", "performance"]
    assert Value.parse(text).laid().text == text


def test_the_latest_price_is_the_newest_that_is_not_empty():
    assert Value.parse(SAMPLE).latest() == ("09:00", "1000")
    assert Value(1, ["090000"], [""]).latest() is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no JSON"),
        ("[" * 100_000, "too deeply"),
        (f'{{"a": {"[" * 900}{"]" * 900}, "time": [], "price": []}}', "too deeply"),
        ('{"time": ["1"], "price": [1e999]}', "too large"),
        ("[]", "no lists"),
        ('{"id": 1, "credit": 150000000}', "no lists"),
        ('{"time": 1, "price": []}', "not both lists"),
        ('{"time": ["1"], "price": []}', "1 times, but 0 prices"),
        ('{"time": ["a,b"], "price": [1]}', "time 'a,b'"),
        ('{"time": [90006], "price": [1]}', "time '90006'"),
        ('{"time": ["1"], "price": ["x"]}', "price 'x'"),
        ('{"time": ["1"], "price": [NaN]}', "NaN"),
        ('{"time": ["1"], "price": [[1]]}', "is no number"),
        ('{"id": "a", "time": [], "price": []}', "its id"),
        ('{"id": -1, "time": [], "price": []}', "its id"),
    ],
)
def test_what_is_no_stock_is_told(text, why):
    with pytest.raises(NotAStock, match=why):
        Value.parse(text)

"""Retail files of tests, and the commands on them as processes."""

from pathlib import Path

from tests.consumers.processes import Process
from tests.streaming.sales.kafka_stage import KafkaStage

HEADING = "Invoice,StockCode,Description,Quantity,Price,Customer ID,Country"
PUBLIC = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


def retail_file(folder: Path, lines: int, codes: int = 50) -> Path:
    """Of 7 columns, in latin-1 with CRLF; each line has a quantity of its own."""
    path = folder / f"retail{lines}.csv"
    with path.open("w", encoding="latin-1", newline="") as file:
        file.write(HEADING + "\r\n")
        file.writelines(
            f"{489434 + number},code{number % codes},CAFÉ £{number},{number},1.25,"
            f"{'' if number % 3 else 13085},EIRE\r\n"
            for number in range(lines)
        )
    return path


def command(stage: KafkaStage, folder: Path, *arguments: object, **environment: str) -> Process:
    """`manage.py` with these arguments, on the stage's topics; its log is in `folder`."""
    log = folder / f"command{len(list(folder.glob('command*.log')))}.log"
    names = {
        "SALES_INPUT_TOPIC": stage.input,
        "SALES_OUTPUT_TOPIC": stage.output,
        "SALES_DEAD_LETTER_TOPIC": stage.dead_letters,
        "SALES_GROUP": stage.group,
        "KAFKA_BOOTSTRAP_SERVERS": stage.bootstrap,
        "STOCKROOM_VAR": str(folder),
    }
    return Process(["manage.py", *map(str, arguments)], names | environment, log)

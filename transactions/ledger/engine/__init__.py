"""From the message to the balance: RabbitMQ, PostgreSQL, KeyDB."""

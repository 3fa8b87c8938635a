# One image for every role; docker-compose.yml gives each its command.
FROM python:3.11-slim
RUN useradd --create-home --uid 10001 stockroom
WORKDIR /app
COPY requirements.txt constraints.txt ./
RUN pip install --no-cache-dir -r requirements.txt -c constraints.txt
COPY . .
ENV PYTHONUNBUFFERED=1 STOCKROOM_VAR=/tmp/stockroom
USER stockroom
EXPOSE 8000
CMD ["gunicorn", "config.asgi:application", "-k", "config.web_worker.WebWorker", "--workers", "2", "--bind", "0.0.0.0:8000", "--graceful-timeout", "10", "--timeout", "60", "--no-control-socket"]

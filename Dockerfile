# autodas-dsl on processors: docker build -t autodas-dsl . && docker run --rm autodas-dsl show snip
FROM python:3.11-slim
WORKDIR /src
COPY . .
RUN pip install --no-cache-dir -c constraints.txt --extra-index-url https://download.pytorch.org/whl/cpu . \
    && useradd --create-home autodas
USER autodas
WORKDIR /home/autodas
ENTRYPOINT ["autodas-dsl"]

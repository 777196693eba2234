/* The roof: an SCP that only reads PDUs, cuts data sets out of them and writes files.
 *
 * No DICOM is parsed beyond the headers of PDUs and PDVs (PS3.8 9.3), every presentation context is
 * accepted, and each data set is answered with the same C-STORE-RSP. One thread per connection, a folder
 * of its own for each, open + writev + rename per instance.
 *
 *     sink PORT FOLDER_FOR_TEMPORARY_FILES FOLDER_FOR_INSTANCES
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    ASSOCIATE_RQ = 1, ASSOCIATE_AC = 2, P_DATA_TF = 4, RELEASE_RQ = 5, RELEASE_RP = 6,
    HEADER = 6, PDV_HEADER = 6, FIXED = 68, MAX_PDU = 131072, BUFFER = 1 << 20, MOST_PIECES = 512,
};

static const char *incoming, *stored;

static uint32_t be32(const uint8_t *p) { return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3]; }
static uint16_t be16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static void put32(uint8_t *p, uint32_t v) { p[0] = v >> 24; p[1] = v >> 16; p[2] = v >> 8; p[3] = v; }
static void put16(uint8_t *p, uint16_t v) { p[0] = v >> 8; p[1] = v; }

static void die(const char *what) { perror(what); exit(1); }

struct connection {
    int socket, file, pieces;
    unsigned number, instances;
    size_t begin, end; /* what is received and not yet cut */
    struct iovec piece[MOST_PIECES];
    uint8_t *buffer;
};

static char preamble[132] = {[128] = 'D', 'I', 'C', 'M'};

static void paths(struct connection *c, char *temporary, char *final, size_t size) {
    snprintf(temporary, size, "%s/%u-%u", incoming, c->number, c->instances);
    snprintf(final, size, "%s/%u/%u.dcm", stored, c->number, c->instances);
}

/* Write the pieces that are kept: their buffer is needed, or the data set is complete. */
static void spill(struct connection *c) {
    char temporary[4096], final[4096];
    size_t left = 0;
    int at = 0;
    if (c->file < 0) {
        paths(c, temporary, final, sizeof temporary);
        c->file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0664);
        if (c->file < 0) die(temporary);
        c->piece[0] = (struct iovec){preamble, sizeof preamble};
    } else {
        at = 1; /* the place of the preamble */
    }
    for (int i = at; i < c->pieces; i++) left += c->piece[i].iov_len;
    while (left) {
        ssize_t written = writev(c->file, c->piece + at, c->pieces - at);
        if (written < 0) die("writev");
        left -= written;
        for (; at < c->pieces && (size_t)written >= c->piece[at].iov_len; at++)
            written -= c->piece[at].iov_len;
        if (at < c->pieces) {
            c->piece[at].iov_base = (char *)c->piece[at].iov_base + written;
            c->piece[at].iov_len -= written;
        }
    }
    c->pieces = 1;
}

static void finish(struct connection *c) {
    char temporary[4096], final[4096];
    spill(c);
    close(c->file);
    c->file = -1;
    paths(c, temporary, final, sizeof temporary);
    if (rename(temporary, final)) die(final);
    c->instances++;
}

static int send_all(int socket, const uint8_t *data, size_t size) {
    while (size) {
        ssize_t sent = send(socket, data, size, MSG_NOSIGNAL);
        if (sent <= 0) return -1;
        data += sent, size -= sent;
    }
    return 0;
}

/* Have at least `size` bytes in one piece behind `begin`; what was cut from the buffer is written first. */
static int have(struct connection *c, size_t size) {
    if (c->begin + size > BUFFER) {
        if (c->pieces > 1) spill(c);
        memmove(c->buffer, c->buffer + c->begin, c->end - c->begin);
        c->end -= c->begin;
        c->begin = 0;
    }
    while (c->end - c->begin < size) {
        ssize_t got = recv(c->socket, c->buffer + c->end, BUFFER - c->end, 0);
        if (got <= 0) return -1;
        c->end += got;
    }
    return 0;
}

/* A-ASSOCIATE-AC (PS3.8 9.3.3): each proposed context is accepted with its first transfer syntax. */
static int associate(struct connection *c, const uint8_t *body, size_t length) {
    static uint8_t user[] = {0x50, 0, 0, 8, 0x51, 0, 0, 4, 0, 2, 0, 0};
    uint8_t *answer = calloc(1, length + 64);
    size_t out = HEADER + FIXED;
    if (!answer || length < FIXED) return free(answer), -1;
    memcpy(answer + HEADER, body, FIXED);
    for (size_t at = FIXED; at + 4 <= length; at += 4 + be16(body + at + 2)) {
        size_t size = be16(body + at + 2);
        if (at + 4 + size > length) break;
        if (body[at] == 0x10) {
            memcpy(answer + out, body + at, 4 + size);
            out += 4 + size;
        } else if (body[at] == 0x20) {
            for (size_t sub = at + 8; sub + 4 <= at + 4 + size; sub += 4 + be16(body + sub + 2)) {
                if (body[sub] != 0x40) continue;
                size_t syntax = 4 + be16(body + sub + 2);
                answer[out] = 0x21;
                put16(answer + out + 2, 4 + syntax);
                answer[out + 4] = body[at + 4];
                memcpy(answer + out + 8, body + sub, syntax);
                out += 8 + syntax;
                break;
            }
        }
    }
    put32(user + 8, MAX_PDU);
    memcpy(answer + out, user, sizeof user);
    out += sizeof user;
    answer[0] = ASSOCIATE_AC;
    put32(answer + 2, out - HEADER);
    int failed = send_all(c->socket, answer, out);
    free(answer);
    return failed;
}

/* C-STORE-RSP (PS3.7 9.3.1.2) without UIDs, status 0x0000. */
static int respond(struct connection *c, uint8_t context) {
    static const uint8_t command[] = {
        0, 0, 0x00, 0, 4, 0, 0, 0, 40, 0, 0, 0,        /* Command Group Length */
        0, 0, 0x00, 1, 2, 0, 0, 0, 0x01, 0x80,         /* Command Field: C-STORE-RSP */
        0, 0, 0x20, 1, 2, 0, 0, 0, 1, 0,               /* Message ID Being Responded To */
        0, 0, 0x00, 8, 2, 0, 0, 0, 0x01, 0x01,         /* Command Data Set Type: none */
        0, 0, 0x00, 9, 2, 0, 0, 0, 0, 0,               /* Status */
    };
    uint8_t pdu[HEADER + PDV_HEADER + sizeof command] = {P_DATA_TF};
    put32(pdu + 2, sizeof pdu - HEADER);
    put32(pdu + HEADER, sizeof command + 2);
    pdu[HEADER + 4] = context;
    pdu[HEADER + 5] = 3;
    memcpy(pdu + HEADER + PDV_HEADER, command, sizeof command);
    return send_all(c->socket, pdu, sizeof pdu);
}

/* The PDVs of one P-DATA-TF, which lies in the buffer as a whole. */
static int data(struct connection *c, uint8_t *body, size_t length) {
    for (size_t at = 0; at + PDV_HEADER <= length;) {
        size_t size = be32(body + at);
        uint8_t context = body[at + 4], control = body[at + 5];
        if (size < 2 || at + 4 + size > length) return -1;
        if (!(control & 1)) {
            if (c->pieces == MOST_PIECES) spill(c);
            c->piece[c->pieces++] = (struct iovec){body + at + PDV_HEADER, size - 2};
            if (control & 2) {
                finish(c);
                if (respond(c, context)) return -1;
            }
        }
        at += 4 + size;
    }
    return 0;
}

static void serve(struct connection *c) {
    for (;;) {
        if (have(c, HEADER)) return;
        size_t length = be32(c->buffer + c->begin + 2);
        if (length > BUFFER / 2 || have(c, HEADER + length)) return;
        uint8_t *pdu = c->buffer + c->begin;
        c->begin += HEADER + length;
        if (pdu[0] == ASSOCIATE_RQ) {
            if (associate(c, pdu + HEADER, length)) return;
        } else if (pdu[0] == P_DATA_TF) {
            if (data(c, pdu + HEADER, length)) return;
        } else {
            static const uint8_t released[] = {RELEASE_RP, 0, 0, 0, 0, 4, 0, 0, 0, 0};
            if (pdu[0] == RELEASE_RQ) send_all(c->socket, released, sizeof released);
            return;
        }
        if (c->begin == c->end && c->pieces == 1) c->begin = c->end = 0;
    }
}

static void *thread(void *argument) {
    struct connection *c = argument;
    char folder[4096], temporary[4096];
    snprintf(folder, sizeof folder, "%s/%u", stored, c->number);
    if (mkdir(folder, 0775)) die(folder);
    c->buffer = malloc(BUFFER);
    c->file = -1;
    c->pieces = 1;
    if (!c->buffer) die("malloc");
    serve(c);
    if (c->file >= 0) {
        close(c->file);
        paths(c, temporary, folder, sizeof folder);
        unlink(temporary);
    }
    close(c->socket);
    free(c->buffer);
    free(c);
    return NULL;
}

int main(int count, char **arguments) {
    int one = 1;
    if (count != 4) return fputs("usage: sink PORT INCOMING STORED\n", stderr), 2;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(arguments[1]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    incoming = arguments[2];
    stored = arguments[3];
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listening, (struct sockaddr *)&address, sizeof address) || listen(listening, 64)) die("listen");
    for (unsigned number = 0;; number++) {
        struct connection *c = calloc(1, sizeof *c);
        pthread_t id;
        if (!c || (c->socket = accept(listening, NULL, NULL)) < 0) die("accept");
        setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        c->number = number;
        if (pthread_create(&id, NULL, thread, c)) die("pthread_create");
        pthread_detach(id);
    }
}

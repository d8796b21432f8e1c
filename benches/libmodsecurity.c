/* What libmodsecurity takes for one request and a small answer, as benches/waf.rs asks of our engine:
 *     cc -O2 -o libmodsecurity libmodsecurity.c -lmodsecurity
 *     libmodsecurity RULES TARGET CONTENT_TYPE BODY_FILE
 * prints the median of seven rounds, in nanoseconds of the processor's time. Without a body it is a GET. */
#include <modsecurity/modsecurity.h>
#include <modsecurity/rules_set.h>
#include <modsecurity/transaction.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TEXT(text) ((const unsigned char *)(text))

static void ignore(void *data, const void *message) { (void)data, (void)message; }

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void run(ModSecurity *engine, RulesSet *rules, char **request, const char *body, size_t length) {
    Transaction *transaction = msc_new_transaction(engine, rules, NULL);
    msc_process_connection(transaction, "192.0.2.7", 4000, "192.0.2.1", 443);
    msc_process_uri(transaction, request[0], length ? "POST" : "GET", "1.1");
    msc_add_request_header(transaction, TEXT("Host"), TEXT("shop.example.com"));
    msc_add_request_header(transaction, TEXT("User-Agent"), TEXT("curl/8.5.0"));
    msc_add_request_header(transaction, TEXT("Accept"), TEXT("*/*"));
    if (length) {
        char digits[24];
        snprintf(digits, sizeof digits, "%zu", length);
        msc_add_request_header(transaction, TEXT("Content-Type"), TEXT(request[1]));
        msc_add_request_header(transaction, TEXT("Content-Length"), TEXT(digits));
    }
    msc_process_request_headers(transaction);
    msc_append_request_body(transaction, TEXT(body), length);
    msc_process_request_body(transaction);
    msc_add_response_header(transaction, TEXT("Content-Type"), TEXT("application/json"));
    msc_process_response_headers(transaction, 200, "HTTP/1.1");
    msc_append_response_body(transaction, TEXT("{}"), 2);
    msc_process_response_body(transaction);
    msc_process_logging(transaction);
    msc_transaction_cleanup(transaction);
}

static int by_size(const void *one, const void *other) {
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

int main(int count, char **arguments) {
    static char body[1 << 20];
    double rounds[7];
    const char *error = NULL;
    FILE *file = count == 5 ? fopen(arguments[4], "rb") : NULL;
    if (!file) return 64;
    size_t length = fread(body, 1, sizeof body, file);
    ModSecurity *engine = msc_init();
    msc_set_log_cb(engine, ignore);
    RulesSet *rules = msc_create_rules_set();
    if (msc_rules_add_file(rules, arguments[1], &error) < 0) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }
    for (int round = 0; round < 7; round++) {
        int calls = 0;
        double begin = now(), end;
        do {
            run(engine, rules, arguments + 2, body, length);
            calls++;
        } while ((end = now()) - begin < 1e8);
        rounds[round] = (end - begin) / calls;
    }
    qsort(rounds, 7, sizeof *rounds, by_size);
    printf("%.0f\n", rounds[3]);
    return 0;
}

/* y = max(x, 0) and dx = dy where x > 0, both in single precision; NaN passes through. */
void relu_forward(const float *x, float *y, long n) {
    for (long i = 0; i < n; i++) y[i] = x[i] <= 0 ? (x[i] == 0 ? x[i] : 0) : x[i];
}

void relu_backward(const float *x, const float *dy, float *dx, long n) {
    for (long i = 0; i < n; i++) dx[i] = x[i] <= 0 ? 0 : dy[i];
}

// What is behind `#` never reaches the server: the link takes it along.
document.getElementById("sign-in").href = `/.auth/login/aad?post_login_redirect_uri=${encodeURIComponent(`/api/operations${location.hash}`)}`;
